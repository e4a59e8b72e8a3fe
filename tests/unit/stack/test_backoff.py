from services.stack.backoff import Backoff


def test_it_doubles_up_to_half_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.after(lived=1.0) for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_it_forgets_once_a_program_lived_a_minute() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(lived=59.9)
    assert backoff.after(lived=60.0) == 0.5
    assert backoff.after(lived=0.0) == 1.0
