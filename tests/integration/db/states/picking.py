"""How rules choose among things that are known only while they run."""

from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
which = st.integers(0, 99)
"""Which of the things that there are, counted from the newest and round again."""


def nth(things: list[T], index: int) -> T:
    """One of `things`: 0 is the newest."""
    return things[-1 - index % len(things)]
