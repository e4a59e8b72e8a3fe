import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stack.stored_emails import OWN_NAMES, safe_name, slug


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../no-such-folder/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/cron.d/x", "x"),
        ("..", "attachment"),
        (".bashrc", "bashrc"),
        ("", "attachment"),
        ("a\x00b\n.txt", "ab.txt"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("Отчёт.zip", "Отчёт.zip"),
        ("EMAIL.eml", "EMAIL-2.eml"),
        ("x" * 300 + ".jpeg", "x" * 40 + ".jpeg"),
    ],
)
def test_an_attachment_gets_a_safe_name(wish: str, name: str) -> None:
    assert safe_name(wish, set(OWN_NAMES)) == name


def test_names_never_repeat_in_any_case() -> None:
    taken: set[str] = set()
    assert [safe_name(wish, taken) for wish in ("a.jpg", "A.jpg", "a.jpg")] == ["a.jpg", "A-2.jpg", "a-3.jpg"]


@given(st.text())
def test_no_wish_leaves_the_folder(wish: str) -> None:
    name = safe_name(wish, set(OWN_NAMES))
    assert name
    assert not name.startswith(".")
    assert "/" not in name
    assert "\\" not in name
    assert name.isprintable()
    assert len(name.encode()) < 255
    assert name.lower() not in OWN_NAMES


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Your images are ready!", "your-images-are-ready"),
        ("Ваши изображения готовы", "ваши-изображения-готовы"),
        ("../../x", "x"),
        ("", "email"),
        ("!!!", "email"),
    ],
)
def test_a_slug_is_one_plain_word_chain(subject: str, expected: str) -> None:
    assert slug(subject) == expected


@given(st.text())
def test_a_slug_fits_a_folder_name(subject: str) -> None:
    assert 0 < len(slug(subject).encode()) < 240
    assert "/" not in slug(subject)
