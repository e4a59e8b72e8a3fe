from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imageblur_client.filenames import safe_name, unique_name


@given(st.text() | st.text(alphabet="./\\: \x00a"))
def test_a_safe_name_is_one_part_that_stays_where_it_is_put(name: str) -> None:
    try:
        safe = safe_name(name)
    except UnicodeEncodeError:
        return  # Lone surrogates: protobuf never hands them out.

    assert Path("folder", safe).parent == Path("folder")
    assert safe not in {"", ".", ".."}
    assert not safe.startswith(".")
    assert not set(safe) & set('/\\:\x00\n"')
    assert len(safe.encode()) <= 240


@pytest.mark.parametrize("name", ["blur_cat.jpg", "blur_\u043f\u0451\u0441 (2).png", "no suffix", "a.tar.gz"])
def test_good_names_stay(name: str) -> None:
    assert safe_name(name) == name


def test_long_names_keep_their_suffix() -> None:
    assert safe_name("\u044f" * 300 + ".jpeg") == "\u044f" * 117 + ".jpeg"


def test_taken_names_get_a_number() -> None:
    assert unique_name("cat.jpg", {"dog.jpg"}) == "cat.jpg"
    assert unique_name("Cat.jpg", {"cat.jpg", "cat-2.jpg"}) == "Cat-3.jpg"
    assert unique_name("cat", {"cat"}) == "cat-2"
