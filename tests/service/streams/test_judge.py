"""The rules of a stream as a table of cases."""

from __future__ import annotations

import math

import pytest

from service.streams.arrival import Kind, Outcome
from service.streams.head import Head, Options, young
from service.streams.judge import Judge, Stretch

NAN = math.nan
NOW = 1_000
# ds and position are the same here: the log begins at step 0, and has 0, 1, 3 and, late, 2.
HEAD = Head(3, 13.0, None, 3, 4, 0, 4, exact=True, received=0)
STORED = {0: (10.0, None, 1), 1: (NAN, None, 2), 2: (12.0, None, 4)}


def judge(head: Head = HEAD, *, rewind: int = 0, max_gap: int = 5) -> Judge:
    return Judge(head, Options(0, rewind, max_gap, None), STORED, 0)


def kind_of(made: Judge, ds: int, y: float, exog: str | None = None) -> tuple[Kind, int, int]:
    outcome = made.observe(ds, ds, y, exog, NOW)
    return outcome.kind, outcome.seq, outcome.missing


CASES = {
    "the next": (4, 14.0, None, (Kind.APPLIED, 5, 0)),
    "the next, of which nothing was observed": (4, NAN, None, (Kind.APPLIED, 5, 0)),
    "after as many missing as are masked": (9, 1.0, None, (Kind.APPLIED, 5, 5)),
    "after one more": (10, 1.0, None, (Kind.APPLIED, 5, 6)),
    "far away": (2**53, 1.0, None, (Kind.APPLIED, 5, 2**53 - 4)),
    "the newest again": (3, 13.0, None, (Kind.DUPLICATE, 3, 0)),
    "an older one again": (0, 10.0, None, (Kind.DUPLICATE, 1, 0)),
    "one of nothing again": (1, NAN, None, (Kind.DUPLICATE, 2, 0)),
    "a late one again": (2, 12.0, None, (Kind.DUPLICATE, 4, 0)),
    "another value": (3, 13.5, None, (Kind.CONFLICT, 3, 0)),
    "another value of an older one": (0, 11.0, None, (Kind.CONFLICT, 1, 0)),
    "nothing where there was a value": (0, NAN, None, (Kind.CONFLICT, 1, 0)),
    "a value where there was nothing": (1, 11.0, None, (Kind.CONFLICT, 2, 0)),
    "other covariates": (3, 13.0, "{}", (Kind.CONFLICT, 3, 0)),
    "late": (-1, 1.0, None, (Kind.LATE, 0, 0)),
}


@pytest.mark.parametrize(("ds", "y", "exog", "expected"), CASES.values(), ids=list(CASES))
def test_an_observation_is_judged(
    ds: int, y: float, exog: str | None, expected: tuple[Kind, int, int]
) -> None:
    assert kind_of(judge(), ds, y, exog) == expected


@pytest.mark.parametrize(("rewind", "kind"), [(3, Kind.LATE), (4, Kind.REWOUND)])
def test_a_late_one_is_put_in_its_place_if_it_is_not_too_late(rewind: int, kind: Kind) -> None:
    made = judge(rewind=rewind)
    assert made.observe(-1, -1, 9.0, None, NOW).kind is kind
    assert made.first_late == (-1 if kind is Kind.REWOUND else None)
    assert made.head.tail_seq == 3
    assert made.head.seq == (5 if kind is Kind.REWOUND else 4)


def test_how_late_one_is_counts_from_the_newest_of_its_own_batch() -> None:
    made = judge(rewind=2)
    assert kind_of(made, 9, 1.0)[0] is Kind.APPLIED
    assert kind_of(made, 7, 1.0) == (Kind.REWOUND, 6, 0)
    assert kind_of(made, 6, 1.0)[0] is Kind.LATE
    assert kind_of(made, 7, 1.0) == (Kind.DUPLICATE, 6, 0)
    assert kind_of(made, 9, 1.0) == (Kind.DUPLICATE, 5, 0)
    assert (made.ds, made.first_late) == ([9, 7], 7)


def test_the_newest_before_a_batch_is_known_behind_newer_ones() -> None:
    made = judge(rewind=4)
    assert kind_of(made, 4, 14.0) == (Kind.APPLIED, 5, 0)
    assert kind_of(made, 3, 13.0) == (Kind.DUPLICATE, 3, 0)
    assert kind_of(made, 3, 12.0) == (Kind.CONFLICT, 3, 0)
    assert made.ds == [4]


def test_a_conflict_names_what_the_log_has() -> None:
    assert judge().observe(2, 2, 99.0, None, NOW) == Outcome(Kind.CONFLICT, 2, 4, stored=12.0)


def test_what_is_refused_leaves_no_trace() -> None:
    made = judge()
    for ds, y in ((3, 0.0), (-5, 1.0), (3, 13.0)):
        made.observe(ds, ds, y, None, NOW)
    assert made.head == HEAD
    assert (made.ds, made.stretches, made.first_late) == ([], [], None)


def test_missing_steps_are_gone_through_and_a_long_gap_begins_anew() -> None:
    made = judge(max_gap=2)
    for ds in (4, 7, 11, 12):
        made.observe(ds, ds, 1.0, None, NOW)
    assert made.stretches == [
        Stretch(0, 4, 1, 0, anew=False),
        Stretch(0, 5, 3, 1, anew=False),
        Stretch(0, 11, 1, 2, anew=True),
        Stretch(0, 12, 1, 3, anew=False),
    ]
    assert made.head == Head(12, 1.0, None, 8, 4, 11, 2, exact=True, received=NOW)


def test_the_first_of_all_begins_a_stream_wherever_it_is() -> None:
    made = Judge(young(0), Options(0, 0, 0, None), {}, 77)
    assert made.observe(77, 0, 1.0, None, NOW) == Outcome(Kind.APPLIED, 77, 1, 0, 1)
    assert made.head.start == 77


def test_a_break_makes_a_state_exact_that_was_not() -> None:
    made = judge(HEAD._replace(exact=False), max_gap=0)
    made.observe(4, 4, 1.0, None, NOW)
    assert not made.head.exact
    made.observe(6, 6, 1.0, None, NOW)
    assert made.head.exact
