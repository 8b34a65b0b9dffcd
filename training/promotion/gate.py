"""The gate: whether a version may become champion, and why. Values in, a verdict out.

Every rule says what it found, whether it held, or why it was not asked. docs/decisions/0013 has the
reasons for the thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Literal

from training.comparison.contest import Contest, Group
from training.comparison.significance import FEWEST_SERIES, FEWEST_WINDOWS

NOMINAL = {"coverage_80": 0.8, "coverage_95": 0.95}

Rule = Literal[
    "sound",
    "scored",
    "seasonal_naive",
    "coverage",
    "latency",
    "size",
    "serves",
    "same_windows",
    "margin",
    "significance",
    "series",
    "steps",
    "bias",
]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the gate draws its lines.

    margin: the least relative gain in MASE over the champion. alpha: one-sided level at which the
    gain must be significant, harm_alpha: at which harm is.
    series_ratio, step_ratio: how many times the champion's MASE on a series or step is too much,
    where it also is more by series_excess or step_excess (in MASE) and by a test; ruin_ratio,
    ruin_excess: the same where windows are too few to test. bias: the share of the absolute error
    that may be one-sided; bias_excess: and by how much more than the champion's. coverage: how far
    below nominal, coverage_over: above; coverage_excess: and by how much further than the
    champion's. step_ms, batch_ms: milliseconds for one observation with its forecast, and for 64
    series from their history; bundle_bytes: the largest bundle.
    """

    margin: float = 0.005
    alpha: float = 0.002
    harm_alpha: float = 0.01
    series_ratio: float = 1.5
    series_excess: float = 0.25
    step_ratio: float = 1.2
    step_excess: float = 0.05
    ruin_ratio: float = 3.0
    ruin_excess: float = 1.0
    bias: float = 0.5
    bias_excess: float = 0.1
    coverage: float = 0.1
    coverage_over: float = 0.15
    coverage_excess: float = 0.02
    step_ms: float = 50.0
    batch_ms: float = 5_000.0
    bundle_bytes: int = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Duel:
    """MASE of the version and of seasonal naive on the n windows that both answered."""

    mase: float
    naive: float
    n_windows: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gate looks at. None stands where nothing is known.

    fault: what is wrong with the bundle: not whole, not finite, golden forecast not made. coverage,
    champion_coverage: shares by metric, "coverage_80" …, over n_windows windows. lost: what clients
    of the champion would miss. contest: against the champion; `uncompared` says why there is none.
    """

    version: int
    champion: int | None = None
    fault: str | None = None
    duel: Duel | None = None
    coverage: Mapping[str, float] = field(default_factory=dict)
    champion_coverage: Mapping[str, float] = field(default_factory=dict)
    n_windows: int = 0
    step_ms: float | None = None
    batch_ms: float | None = None
    bundle_bytes: int | None = None
    lost: tuple[str, ...] = ()
    contest: Contest | None = None
    uncompared: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """What a rule found. passed: None where it was not asked."""

    rule: Rule
    passed: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may be champion, and every rule's reason."""

    version: int
    champion: int | None
    passed: bool
    reasons: tuple[Reason, ...]

    @property
    def refusals(self) -> tuple[Reason, ...]:
        """The rules that did not hold."""
        return tuple(reason for reason in self.reasons if reason.passed is False)

    @property
    def said(self) -> str:
        """In one line: the gain, or what stood against it."""
        if not self.passed:
            return "; ".join(reason.said for reason in self.refusals)
        wanted = ("seasonal_naive",) if self.champion is None else ("margin", "significance")
        return "; ".join(reason.said for reason in self.reasons if reason.rule in wanted)


def judge(evidence: Evidence, thresholds: Thresholds | None = None) -> Verdict:
    """The verdict on a version. A broken bundle is judged no further."""
    limits = thresholds or Thresholds()
    if evidence.fault is not None:
        reasons: tuple[Reason, ...] = (Reason("sound", False, evidence.fault),)
    else:
        sound = Reason("sound", True, "weights are finite and the golden forecast comes out")
        reasons = (sound, *_alone(evidence, limits), *_against(evidence, limits))
    passed = all(reason.passed is not False for reason in reasons)
    return Verdict(evidence.version, evidence.champion, passed, reasons)


def _alone(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    """The rules that need no champion."""
    duel = evidence.duel
    if duel is None or not isfinite(duel.mase):
        yield Reason("scored", False, "it was not scored against seasonal naive: backtest it first")
    else:
        yield Reason(
            "seasonal_naive",
            duel.mase < duel.naive,
            f"{'beats' if duel.mase < duel.naive else 'does not beat'} seasonal naive: "
            f"MASE {duel.mase:.4g} against {duel.naive:.4g} of seasonal naive on {duel.n_windows} "
            "windows",
        )
    for name, nominal in NOMINAL.items():
        yield _coverage(evidence, limits, name, nominal)
    yield _budget("latency", "an observation takes", evidence.step_ms, limits.step_ms, "ms")
    yield _budget("latency", "64 series take", evidence.batch_ms, limits.batch_ms, "ms")
    size = evidence.bundle_bytes
    yield _budget("size", "the bundle takes", size, float(limits.bundle_bytes), "bytes")


def _coverage(evidence: Evidence, limits: Thresholds, name: str, nominal: float) -> Reason:
    """Off by more than the bound and by more than so few windows are off by chance.

    Steps of a window err together, so a window counts as one draw: twice its standard deviation is
    allowed on top. Where the champion is as far off, changing it makes nothing worse.
    """
    share = evidence.coverage.get(name)
    what = f"the {nominal:.0%} interval"
    if share is None or not evidence.n_windows:
        return Reason("coverage", None, f"{what} is not known to hold anything")
    chance = 2.0 * sqrt(nominal * (1.0 - nominal) / evidence.n_windows)
    off = nominal - share
    bound = (limits.coverage if off > 0 else limits.coverage_over) + chance
    said = f"{what} holds {share:.1%} (within {bound:.1%} of nominal is asked)"
    before = evidence.champion_coverage.get(name)
    if abs(off) <= bound:
        return Reason("coverage", True, said)
    if before is not None and abs(off) <= abs(nominal - before) + limits.coverage_excess:
        return Reason("coverage", True, f"{said}; the champion's holds {before:.1%}")
    return Reason("coverage", False, said)


def _budget(rule: Rule, what: str, found: float | None, most: float, unit: str) -> Reason:
    if found is None:
        return Reason(rule, None, f"how much {what} was not measured")
    digits = ",.0f" if unit == "bytes" else ".4g"
    said = f"{what} {found:{digits}} {unit}, {most:{digits}} allowed"
    return Reason(rule, found <= most, said)


def _against(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    """The rules that hold a version against the champion."""
    if evidence.champion is None:
        yield Reason("margin", None, "there is no champion to compare with")
        return
    lost = "; ".join(evidence.lost)
    yield Reason("serves", not lost, lost or "serves all that the champion serves")
    contest = evidence.contest
    if contest is None:
        why = evidence.uncompared or "they have no window in common"
        yield Reason(
            "same_windows", False, f"not compared with champion version {evidence.champion}: {why}"
        )
        return
    gain = -contest.change
    said = (
        f"MASE {contest.mase:.4g} against {contest.other_mase:.4g} of version {evidence.champion}"
    )
    change = f"{abs(gain):.2%} {'less' if gain >= 0 else 'more'}"
    held = gain >= limits.margin
    rest = "" if held else f", {limits.margin:.2%} less is asked"
    yield Reason("margin", held, f"{said}: {change}{rest}")
    yield _significance(contest, limits)
    yield _groups("series", contest.series, contest.n_series, limits)
    yield _groups("steps", contest.steps, contest.n_steps, limits)
    yield _bias(contest, limits)


def _significance(contest: Contest, limits: Thresholds) -> Reason:
    """Every test that has enough to go by must find the gain; one of them must have enough."""
    found = []
    passed = []
    if contest.dm is not None:
        p = contest.dm.p_less
        passed.append(p <= limits.alpha)
        found.append(f"Diebold-Mariano p = {p:.2g} over {contest.dm.n} origins")
    if contest.relative is not None:
        high, unit = contest.relative.high, contest.relative.unit
        passed.append(high < 0.0)
        found.append(f"bootstrap over {contest.relative.n} {unit}: {high:+.2%} at most")
    if not passed:
        return Reason(
            "significance",
            False,
            f"{contest.n_windows} windows of {contest.n_series} series are too few to tell: "
            f"{FEWEST_WINDOWS} windows a series (better {2 * FEWEST_WINDOWS}) or {FEWEST_SERIES} "
            "series are asked",
        )
    held = all(passed)
    said = ", ".join(found)
    verdict = "significant" if held else f"not significant at {limits.alpha:g}"
    return Reason("significance", held, f"{verdict} ({said})")


def _groups(
    rule: Literal["series", "steps"], groups: tuple[Group, ...], n: int, limits: Thresholds
) -> Reason:
    """None of n series or steps may be ruined; a test among n is asked for n times the certainty.

    With too few windows for a test, only what no noise explains counts.
    """
    ratio = limits.series_ratio if rule == "series" else limits.step_ratio
    excess = limits.series_excess if rule == "series" else limits.step_excess

    def ruined(group: Group) -> bool:
        more = group.ours - group.theirs
        if group.p is None:
            return group.ours > limits.ruin_ratio * group.theirs and more > limits.ruin_excess
        certain = group.p <= limits.harm_alpha / max(n, 1)
        # what is this much worse needs less certainty: few windows cannot give n times of it
        glaring = group.ours > limits.ruin_ratio * group.theirs and more > limits.ruin_excess
        much = group.ours > ratio * group.theirs and more > excess
        return much and (certain or (glaring and group.p <= limits.harm_alpha))

    bad = [group for group in groups if ruined(group)]
    one = "series" if rule == "series" else "step"
    if not bad:
        return Reason(rule, True, f"none of {n} {rule} is worse by more than {ratio - 1:.0%}")
    worst = bad[0]
    others = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return Reason(
        rule,
        False,
        f"{one} {worst.name[:60]} is worse than the champion's: MASE {worst.ours:.4g} against "
        f"{worst.theirs:.4g} on {worst.n} windows{others}",
    )


def _bias(contest: Contest, limits: Thresholds) -> Reason:
    share, before = contest.bias, contest.other_bias
    side = "above" if share > 0 else "below"
    said = (
        f"{abs(share):.0%} of its error lies {side} the truth, {abs(before):.0%} of the champion's"
    )
    if contest.bias_p is None:
        return Reason("bias", None, f"{contest.n_windows} windows are too few to tell a bias")
    biased = (
        abs(share) > limits.bias
        and abs(share) > abs(before) + limits.bias_excess
        and contest.bias_p <= limits.harm_alpha
    )
    return Reason("bias", not biased, said)
