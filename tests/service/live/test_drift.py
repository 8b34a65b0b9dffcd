"""The sequential test by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.live.drift import BLOCK_SCORES, THRESHOLD, Test, read, written

RANDOM = np.random.default_rng(3)


def through(values: list[float], test: Test | None = None) -> list[bool]:
    """Whether drift is raised after each block."""
    test = test or Test()
    raised = []
    for value in values:
        test = test.closed(value)
        raised.append(test.raised)
    return raised


def test_nothing_is_raised_while_nothing_changes() -> None:
    alarms = sum(any(through(RANDOM.standard_normal(150).tolist())) for _ in range(60))
    assert alarms <= 60 * 150 / THRESHOLD  # and it is fewer: ranks are coarse


def test_worse_blocks_raise_it_within_a_few() -> None:
    values = [*RANDOM.standard_normal(60), *(3 + RANDOM.standard_normal(20))]
    raised = through(values)
    assert not any(raised[:60])
    assert any(raised[60:70])


def test_better_blocks_never_do() -> None:
    assert not any(through([*RANDOM.standard_normal(60), *(RANDOM.standard_normal(60) - 3)]))


@settings(max_examples=50)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60))
def test_only_the_order_of_blocks_counts(values: list[float]) -> None:
    test, other = Test(), Test()
    for value in values:
        test, other = test.closed(value), other.closed(2 * value + 1)
    ties = len({2 * value + 1 for value in values}) < len(set(values))
    assert ties or test.bets == other.bets


def test_the_mean_bet_against_what_is_drawn_by_lot_is_one_at_most() -> None:
    """Over every rank that the newest of n blocks can have: what the bound rests on."""
    for n in (1, 2, 5, 30):
        grown = np.mean(
            [
                np.array(Test(past=tuple(map(float, range(n - 1)))).closed(rank - 0.5).bets)
                for rank in range(n)
            ],
            axis=0,
        )
        assert (grown <= 1 + 1e-9).all()


def test_a_block_is_a_season_with_enough_scores() -> None:
    test = Test().fed(7, BLOCK_SCORES - 1, 1.0).fed(8, 1, 1.0).fed(8, 5, 3.0)
    assert (test.blocks, test.count) == (0, BLOCK_SCORES + 5)  # the seasons 7 and 8 are one block
    test = test.fed(9, 1, 0.5)
    assert test.past == (5.0 / (BLOCK_SCORES + 5),)
    assert (test.block, test.count, test.total) == (9, 1, 0.5)


def test_the_past_of_another_stream_is_left_out() -> None:
    test = Test().fed(100, 40, 1.0).fed(3, 60, 99.0)
    assert (test.block, test.count, test.total, test.behind) == (100, 40, 1.0, 60)


def test_a_stream_ahead_of_its_time_does_not_keep_the_others_out() -> None:
    test = Test().fed(10, 40, 1.0).fed(9_999, 1, 1.0)
    for season in range(10, 20):
        test = test.fed(season, 40, 1.0)
    assert test.block is not None
    assert test.block < 20
    assert test.blocks > 5


def test_a_state_comes_back_from_text_and_rubbish_begins_anew() -> None:
    test = Test().fed(4, 20, 0.1).fed(5, 20, 0.3).fed(6, 1, 1e-7)
    assert read(written(test)) == test
    assert [read(text) for text in ("", "{}", "[1]", '{"past": 1, "bets": 2}')] == [Test()] * 4
