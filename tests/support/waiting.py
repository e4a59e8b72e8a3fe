"""Waiting for something that another thread or process does: polled, with a deadline, never slept for."""

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(predicate: Callable[[], T], within: float = 60.0, every: float = 0.02) -> T:
    """Call `predicate` until what it returns is true, and return that.

    An assertion in it may fail until the deadline. Raises: AssertionError naming the predicate, its last value and
    the last failed assertion.
    """
    deadline = time.monotonic() + within
    while True:
        failure: AssertionError | None = None
        value: T | None = None
        try:
            value = predicate()
        except AssertionError as error:
            failure = error
        if value:
            return value
        if time.monotonic() >= deadline:
            said = f"failed with {str(failure) or 'an assertion'!r}" if failure else f"gave {value!r}"
            raise AssertionError(f"not within {within:g} s: {_describe(predicate)} last {said}") from failure
        time.sleep(every)


def _describe(predicate: Callable[[], object]) -> str:
    try:
        source = " ".join(inspect.getsource(predicate).split())
    except (OSError, TypeError):
        return repr(predicate)
    return source if len(source) <= 200 else f"{source[:200]}…"
