"""Have a version's forecasts become worse? A sequential test with a known rate of false alarms.

The values tested are blocks: means of the logarithm of the scaled quantile loss, over all of a
task's streams and over a season of their own time. While nothing changes the blocks are about
exchangeable, and then the rank of each among all before it is as good as drawn by lot, whatever
the losses' distribution. So

    p_n = the share of x_1 .. x_n that are at least x_n       (a conformal p-value)
    e_n = w p_n^(w - 1),  w in 0.2, 0.4, 0.6, 0.8             (a bet on small p; mean 1 at most)
    R_n = (R_(n-1) + 1) e_n,  R_0 = 0                         (Shiryaev-Roberts)

and drift is raised once the mean of R over the four w reaches the threshold A. R_n - n is a
supermartingale, so within any N blocks after the beginning a false alarm has a probability of N / A
at most, and the mean number of blocks until one is A at least.

Shin, Ramdas & Rinaldo 2024, E-detectors, NEJSDS 2. Vovk, Nouretdinov & Gammerman 2003, Testing
exchangeability on-line, ICML. Roberts 1966, A comparison of some control chart procedures,
Technometrics 8. Why this test: docs/decisions/0015-drift-by-ranks.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import orjson

THRESHOLD = 3000.0
"""A. With three leads a task: at most one false alarm in 1,000 blocks."""
BLOCK_SCORES = 16
"""Scores in a block at least; a quieter season is joined to the next."""
_BETS = (0.2, 0.4, 0.6, 0.8)
_REMEMBERED = 512
"""Blocks that a new one is ranked among: above a year of days. Beyond it the oldest goes."""
_ASTRAY = 64
"""Scores from before the open block, over twice its own, after which it was the odd one."""


@dataclass(frozen=True, slots=True)
class Test:
    """The test of one version at one lead.

    block: the number of the season in which the open block began, None before the first; newest:
    the latest season that is in it. count, total: scores in it, and the sum of their logarithms.
    behind: scores that came for seasons before it since it was opened. past: the closed blocks'
    means. bets: R for each bet. blocks: how many were closed.
    """

    __test__ = False  # pytest takes the name for its own

    block: int | None = None
    newest: int = 0
    count: int = 0
    total: float = 0.0
    behind: int = 0
    blocks: int = 0
    past: tuple[float, ...] = ()
    bets: tuple[float, ...] = (0.0,) * len(_BETS)

    @property
    def statistic(self) -> float:
        """The mean of R: about how many times likelier a change is than none."""
        return sum(self.bets) / len(self.bets)

    @property
    def raised(self) -> bool:
        """Whether it has come to the threshold now."""
        return self.statistic >= THRESHOLD

    def fed(self, season: int, count: int, total: float) -> Test:
        """With `count` scores more, whose logarithms have the sum `total`, of one season.

        Scores of a season before the open block are left out, as when one stream's past is sent
        after another's; unless they are so many that it was the open one that was ahead of its
        time.
        """
        if self.block is None:
            return replace(self, block=season, newest=season, count=count, total=total)
        if season < self.block:
            behind = self.behind + count
            if behind > 2 * self.count + _ASTRAY:
                return replace(
                    self, block=season, newest=season, count=count, total=total, behind=0
                )
            return replace(self, behind=behind)
        if season <= self.newest or self.count < BLOCK_SCORES:
            newest = max(season, self.newest)
            return replace(self, newest=newest, count=self.count + count, total=self.total + total)
        closed = self.closed(self.total / self.count)
        return replace(closed, block=season, newest=season, count=count, total=total, behind=0)

    def closed(self, value: float) -> Test:
        """With a block more, whose mean is `value`."""
        past = (*self.past, value)[-_REMEMBERED:]
        p = sum(each >= value for each in past) / len(past)
        bets = tuple(
            min((r + 1.0) * w * p ** (w - 1.0), 1e12) for r, w in zip(self.bets, _BETS, strict=True)
        )
        return replace(self, past=past, bets=bets, blocks=self.blocks + 1)


def written(test: Test) -> str:
    """A test as text."""
    return orjson.dumps(asdict(test)).decode()


def read(text: str) -> Test:
    """The inverse of `written`; a new test where the text is none."""
    try:
        said = orjson.loads(text)
        return Test(**(said | {"past": tuple(said["past"]), "bets": tuple(said["bets"])}))
    except (ValueError, TypeError, KeyError):
        return Test()
