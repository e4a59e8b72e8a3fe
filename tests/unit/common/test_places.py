import pytest

from services.common.archive.result_names import target_names, with_extension
from services.common.domain.places import BadKey, PlaceKey, check_key, matches, parse_places, parse_prefix
from services.common.domain.sources import ImageSource
from services.common.domain.spec import Format


def test_places_are_folders_and_buckets_by_name() -> None:
    assert parse_places("photos=s3://bucket/in, scans-2=/srv/scans ,") == {
        "photos": "s3://bucket/in",
        "scans-2": "/srv/scans",
    }
    assert parse_places("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/srv/scans", "must be places"),
        ("Scans=/srv", "must be places"),
        ("a:b=/srv", "must be places"),
        ("a=/x,a=/y", "named twice"),
        ("a=relative/path", "a must be an absolute path"),
        ("a=https://k:secret@bucket", "a must be an absolute path"),
    ],
)
def test_other_places_are_refused_without_repeating_a_secret(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_places(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["a.jpg", "2026/june/a b.jpg", "ä/日本.png", ".hidden", "a..b", "~#%?*.jpg"])
def test_keys_are_accepted(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a", "a\0b", "a\nb", "a\\..\\b", "x" * 1025]
)
def test_keys_that_lead_elsewhere_are_refused(key: str) -> None:
    with pytest.raises(BadKey):
        check_key(key)


def test_prefixes_are_folders() -> None:
    assert [parse_prefix(text) for text in ("", "a", "a/", "a/b/")] == ["", "a/", "a/", "a/b/"]
    for text in ("/", "/a", "a//", "../", "a/.."):
        with pytest.raises(BadKey):
            parse_prefix(text)


def test_a_listing_takes_images_or_what_matches() -> None:
    names = ["a.jpg", "b.PNG", "deep/c.tif", "d.txt", "jpg", "Thumbs.db"]
    assert [name for name in names if matches(name, "")] == ["a.jpg", "b.PNG", "deep/c.tif"]
    assert [name for name in names if matches(name, "*.t*")] == ["deep/c.tif", "d.txt"]
    assert [name for name in names if matches(name, "?.jpg")] == ["a.jpg"]


def test_a_source_s_label_has_no_query_and_its_name_is_the_last_part() -> None:
    url = ImageSource(url="https://example.org/a/b%20c.jpg?token=secret", size=3)
    assert (url.label, url.filename) == ("https://example.org/a/b%20c.jpg", "b c.jpg")
    file = ImageSource(file=PlaceKey(place="scans", key="2026/x.png"), sha256="ab")
    assert (file.label, file.filename) == ("scans:2026/x.png", "x.png")
    for source in (url, file):
        assert ImageSource.from_json(source.to_json()) == source


def test_targets_are_unique_and_keep_their_folders() -> None:
    names = ["a.jpg", "A.JPG", "x/a.jpg", "b.png", "evil/.jpg", "..", "c"]
    keys = target_names((name, None) for name in names)
    assert keys[:4] == ["a.jpg", "A_2.JPG", "x/a.jpg", "b.png"]
    assert len({key.casefold() for key in keys}) == len(names)
    for key in keys:
        check_key(key)
    assert target_names([("a.heic", Format.JPEG), ("a.jpg", Format.JPEG), ("b.jpeg", Format.JPEG)]) == [
        "a.jpg",
        "a_2.jpg",
        "b.jpeg",
    ]


def test_a_target_gets_the_extension_of_what_the_result_is() -> None:
    assert with_extension("x/a.JPG", Format.JPEG) == "x/a.JPG"
    assert with_extension("x.y/a", Format.PNG) == "x.y/a.png"
    assert with_extension("a.jpg", Format.PNG) == "a.jpg.png"
