from service.streams.allowance import Allowance


class Clock:
    """Shows what it is set to, in seconds."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_what_a_second_brings_may_be_taken_at_once() -> None:
    allowance = Allowance(10, Clock())
    assert [allowance.take(1) for _ in range(10)] == [0] * 10
    assert allowance.take(1) == 0.1


def test_who_took_too_much_waits_until_it_is_made_up() -> None:
    clock = Clock()
    allowance = Allowance(10, clock)
    assert allowance.take(40) == 3
    clock.now += 3
    assert allowance.take(0) == 0
    assert allowance.take(5) == 0.5


def test_what_is_not_taken_is_not_saved_for_later() -> None:
    clock = Clock()
    allowance = Allowance(10, clock)
    clock.now += 3_600
    assert allowance.take(10) == 0
    assert allowance.take(10) == 1
