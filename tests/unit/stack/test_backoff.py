from services.stack.supervision.backoff import Backoff


def test_it_doubles_up_to_half_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.delay_after(lived=1.0) for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_it_resets_once_a_program_ran_for_a_minute() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay_after(lived=59.9)
    assert backoff.delay_after(lived=60.0) == 0.5
    assert backoff.delay_after(lived=0.0) == 1.0
