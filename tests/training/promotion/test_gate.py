"""The gate as a table: what passes, what is refused, and by which rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.synthetic import backtest_of, noise, windows_of
from training.comparison.contest import Contest, Group, contest
from training.comparison.significance import DieboldMariano, Interval
from training.promotion.gate import Duel, Evidence, Thresholds, judge

GOOD = Evidence(
    version=1,
    duel=Duel(0.8, 1.0, 40),
    coverage={"coverage_80": 0.79, "coverage_95": 0.94},
    n_windows=40,
    step_ms=0.3,
    batch_ms=40.0,
    bundle_bytes=200_000,
)
BETTER = Contest(
    name="version 2",
    other="version 1",
    mase=0.76,
    other_mase=0.8,
    n_series=10,
    n_windows=80,
    n_steps=6,
    dm=DieboldMariano(-6.0, 0.001, -0.04, 8, 1),
    relative=Interval(-0.05, -0.07, -0.03, 0.996, "series", 10),
    series=(Group("a", 0.81, 0.8, 8, 0.4),),
    steps=(Group("6", 0.9, 0.89, 80, 0.3),),
    bias=0.1,
    bias_p=0.3,
    other_bias=0.05,
)
RIVAL = replace(GOOD, version=2, champion=1, contest=BETTER, champion_coverage=GOOD.coverage)


def refused(evidence: Evidence, thresholds: Thresholds | None = None) -> list[str]:
    return [reason.rule for reason in judge(evidence, thresholds).refusals]


def test_a_first_version_needs_no_champion() -> None:
    verdict = judge(GOOD)
    assert verdict.passed
    assert "beats seasonal naive: MASE 0.8 against 1" in verdict.said
    skipped = [reason.rule for reason in verdict.reasons if reason.passed is None]
    assert skipped == ["margin"]


def test_an_honest_improvement_passes_every_rule() -> None:
    verdict = judge(RIVAL)
    assert verdict.passed
    assert all(reason.passed for reason in verdict.reasons)
    assert "5.00% less" in verdict.said
    assert "significant" in verdict.said


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"fault": "weights are not finite"}, ["sound"]),
        ({"duel": None}, ["scored"]),
        ({"duel": Duel(1.0, 1.0, 40)}, ["seasonal_naive"]),
        ({"duel": Duel(float("nan"), 1.0, 40)}, ["scored"]),
        ({"coverage": {"coverage_80": 0.5, "coverage_95": 0.94}}, ["coverage"]),
        ({"coverage": {"coverage_80": 1.0, "coverage_95": 0.94}}, []),  # of 40 windows, by chance
        ({"coverage": {"coverage_80": 1.0}, "n_windows": 4000}, ["coverage"]),
        ({"coverage": {"coverage_80": 0.5}, "n_windows": 4}, []),
        ({"coverage": {}}, []),  # a point forecaster
        ({"step_ms": 51.0}, ["latency"]),
        ({"batch_ms": 5001.0}, ["latency"]),
        ({"step_ms": None, "batch_ms": None, "bundle_bytes": None}, []),
        ({"bundle_bytes": 2**28}, ["size"]),
        ({"step_ms": 51.0, "bundle_bytes": 2**28}, ["latency", "size"]),
    ],
)  # fmt: skip
def test_rules_that_need_no_champion(changes: dict[str, Any], rules: list[str]) -> None:
    assert refused(replace(GOOD, **changes)) == rules


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"mase": 0.797}, ["margin"]),
        ({"mase": 0.796}, []),
        ({"mase": 0.9}, ["margin"]),
        ({"dm": DieboldMariano(-1.0, 0.3, -0.04, 8, 1)}, ["significance"]),
        ({"dm": DieboldMariano(4.0, 0.004, 0.04, 8, 1)}, ["significance"]),
        ({"relative": Interval(-0.05, -0.1, 0.001, 0.996, "series", 10)}, ["significance"]),
        ({"dm": None}, []),
        ({"relative": None}, []),
        ({"dm": None, "relative": None}, ["significance"]),
        ({"series": (Group("a", 1.6, 0.8, 8, 1e-5),)}, ["series"]),
        ({"series": (Group("a", 1.6, 0.8, 8, 0.2),)}, []),  # by chance
        ({"series": (Group("a", 1.1, 0.8, 8, 1e-5),)}, []),  # within the bound
        ({"series": (Group("a", 0.02, 0.01, 8, 1e-9),)}, []),  # of next to nothing
        ({"series": (Group("a", 5.0, 0.8, 2, None),)}, ["series"]),
        ({"series": (Group("a", 2.0, 0.8, 2, None),)}, []),  # two windows say little
        ({"series": (Group("a", 5.0, 0.8, 5, 0.009),)}, ["series"]),
        ({"series": (Group("b", 0.5, 0.8, 9, 0.9), Group("a", 5.0, 0.8, 9, 1e-6))}, ["series"]),
        ({"steps": (Group("1", 0.4, 0.3, 80, 1e-6),)}, ["steps"]),
        ({"steps": (Group("1", 0.4, 0.3, 80, 0.1),)}, []),
        ({"bias": 0.8, "bias_p": 1e-4}, ["bias"]),
        ({"bias": -0.8, "bias_p": 1e-4}, ["bias"]),
        ({"bias": 0.8, "bias_p": 1e-4, "other_bias": -0.75}, []),
        ({"bias": 0.8, "bias_p": 0.1}, []),
        ({"bias": 0.8, "bias_p": None}, []),
    ],
)  # fmt: skip
def test_rules_against_the_champion(changes: dict[str, Any], rules: list[str]) -> None:
    assert refused(replace(RIVAL, contest=replace(BETTER, **changes))) == rules


def test_a_champion_that_was_not_scored_on_the_same_windows_stays() -> None:
    verdict = judge(replace(RIVAL, contest=None, uncompared="it forecasts 3 steps, not 6"))
    assert [reason.rule for reason in verdict.refusals] == ["same_windows"]
    assert "it forecasts 3 steps, not 6" in verdict.said


def test_clients_of_the_champion_lose_nothing() -> None:
    assert refused(replace(RIVAL, lost=("it forecasts 3 steps, not 6",))) == ["serves"]


def test_intervals_as_poor_as_the_champion_s_do_not_stand_in_the_way() -> None:
    poor = {"coverage_80": 0.45, "coverage_95": 0.6}
    assert refused(replace(RIVAL, coverage=poor, n_windows=400)) == ["coverage", "coverage"]
    assert refused(replace(RIVAL, coverage=poor, champion_coverage=poor, n_windows=400)) == []


def test_a_budget_is_set_by_who_asks() -> None:
    assert refused(GOOD, Thresholds(step_ms=0.1, bundle_bytes=1000)) == ["latency", "size"]


def planted(kind: str) -> Contest:
    """A champion with errors of one, and a version with a planted fault, 12 series, 10 windows."""
    windows = windows_of()
    champion = noise(windows, 1)
    errors = 0.8 * champion + 0.3 * noise(windows, 2)  # 15 % less
    if kind == "worse":
        errors = 1.1 * champion + 0.3 * noise(windows, 2)
    elif kind == "biased":
        errors = errors + 1.2
    elif kind == "ruinous for one series":
        errors[3] = 6.0 * champion[3]
        errors[np.arange(12) != 3] *= 0.4
    elif kind == "ruinous at one step":
        errors[..., 5] *= 2.0
        errors[..., :5] *= 0.8
    elif kind == "equal":
        errors = champion + 0.2 * noise(windows, 3)
        errors *= np.abs(champion).mean() / np.abs(errors).mean()
    found = contest(backtest_of(windows, new=errors, old=champion), "new", "old", level=0.996)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        ("better", set[str]()),
        ("worse", {"margin", "significance"}),
        ("biased", {"margin", "significance", "bias"}),
        ("ruinous for one series", {"series"}),
        ("ruinous at one step", {"steps"}),
        ("equal", {"margin", "significance"}),
    ],
)
def test_planted_regressions_are_refused_by_the_rule_that_is_meant(
    kind: str, rules: set[str]
) -> None:
    found = refused(replace(RIVAL, contest=planted(kind)))
    if kind == "ruinous for one series":
        assert "series" in found
        assert "margin" not in found  # better on average
    elif kind == "biased":
        assert {"margin", "bias"} <= set(found)
    else:
        assert set(found) == rules
