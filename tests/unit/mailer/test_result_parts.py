import math

from hypothesis import given
from hypothesis import strategies as st

from services.mailer.content.result_parts import _END_BYTES, _ENTRY_BYTES, MAX_PARTS, archive_capacity, plan_parts

sizes_and_capacity = st.tuples(st.lists(st.integers(0, 5000), max_size=40), st.integers(4000, 60_000))


def archive_bytes(sizes: list[int], part: range) -> int:
    return _END_BYTES + sum(sizes[index] + _ENTRY_BYTES for index in part)


@given(sizes_and_capacity)
def test_parts_carry_each_image_once_in_order_and_fit(case: tuple[list[int], int]) -> None:
    sizes, capacity = case
    parts = plan_parts(sizes, capacity)
    if parts is None:
        return
    assert [index for part in parts for index in part] == list(range(len(sizes)))
    assert len(parts) <= MAX_PARTS
    for part in parts:
        assert len(part) > 0
        assert archive_bytes(sizes, part) <= capacity


@given(sizes_and_capacity)
def test_no_part_has_room_for_the_next_image(case: tuple[list[int], int]) -> None:
    sizes, capacity = case
    for part in (plan_parts(sizes, capacity) or [])[:-1]:
        assert archive_bytes(sizes, range(part.start, part.stop + 1)) > capacity


@given(sizes_and_capacity)
def test_there_is_no_plan_only_where_none_fits(case: tuple[list[int], int]) -> None:
    sizes, capacity = case
    if plan_parts(sizes, capacity) is not None:
        return
    assert fewest_parts(sizes, capacity) > MAX_PARTS


def fewest_parts(sizes: list[int], capacity: int) -> float:
    """Of all ways to cut the images into e-mails, in order; infinitely many if one of them fits into none."""
    fewest: list[float] = [0]
    for stop in range(1, len(sizes) + 1):
        begins = [start for start in range(stop) if archive_bytes(sizes, range(start, stop)) <= capacity]
        fewest.append(min((fewest[start] + 1 for start in begins), default=math.inf))
    return fewest[-1]


def test_nothing_needs_no_part() -> None:
    assert plan_parts([], 1000) == []


def test_one_image_over_the_limit_means_no_parts() -> None:
    assert plan_parts([10, 10_000, 10], 8_000) is None


def test_six_emails_are_too_many() -> None:
    assert plan_parts([4_000] * 5, 8_000) == [range(index, index + 1) for index in range(5)]
    assert plan_parts([4_000] * 6, 8_000) is None


def test_with_a_page_to_download_from_there_is_one_email_or_none() -> None:
    assert plan_parts([4_000], 8_000, most=1) == [range(1)]
    assert plan_parts([4_000] * 2, 8_000, most=1) is None


def test_what_the_first_part_carries_besides_is_counted() -> None:
    assert plan_parts([1_000] * 4, 10_000) == [range(4)]
    assert plan_parts([1_000] * 4, 10_000, extra=4_000) == [range(2), range(2, 4)]
    assert plan_parts([1_000], 10_000, extra=9_000) is None


def test_the_limit_counts_what_travels() -> None:
    capacity = archive_capacity(18)
    assert capacity // 57 * 78 <= 18_000_000
    assert capacity > 13_000_000
