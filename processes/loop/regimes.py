"""Daily sales of several shops, whose habits change from one day to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_FIRST = datetime(2021, 1, 4, tzinfo=UTC)  # a Monday
_BEFORE = np.array([-0.5, -0.3, -0.1, 0.0, 0.2, 0.7, 0.0])
"""By weekday, in logarithms: Saturday is the day to shop."""
_AFTER = np.array([0.6, 0.2, -0.6, 0.5, -0.3, -0.5, 0.1])
"""Another week, of every second; the weeks between are its mirror image."""
_CARRIED_BEFORE, _CARRIED_AFTER = 0.95, -0.75
"""How much of a surprise is left the day after: first it stays for weeks, then it turns round."""
_SURPRISE = 0.1
"""Standard deviation of a day's surprise, in logarithms."""


@dataclass(frozen=True, slots=True)
class Sales:
    """y: (days, shops), all positive. change: the first day of the new habits."""

    y: Values
    change: int

    @property
    def shops(self) -> tuple[str, ...]:
        """Their names, in the order of the columns."""
        return tuple(f"shop-{number + 1:02}" for number in range(self.y.shape[1]))

    def rows(self, begin: int, end: int) -> Iterator[tuple[str, str, float]]:
        """unique_id, ds and y of the days from `begin` to before `end`, day by day."""
        for day in range(begin, min(end, len(self.y))):
            stamp = (_FIRST + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield from (
                (shop, stamp, round(float(y), 3))
                for shop, y in zip(self.shops, self.y[day], strict=True)
            )


def sales(*, shops: int, before: int, after: int, seed: int = 4) -> Sales:
    """`before` days of the first habits, then `after` of the second.

    The week moves to other weekdays and turns round every second week, and what a day brings too
    much, which used to stay for weeks, is missing the day after.
    """
    random = np.random.default_rng(seed)
    days = np.arange(before + after)
    changed = days >= before
    level = random.normal(5.0, 0.6, shops)
    own = random.normal(0.0, 0.05, (7, shops))
    turned = np.where(days // 7 % 2, -1.0, 1.0) * _AFTER[days % 7]
    week = np.where(changed, turned, _BEFORE[days % 7])[:, None]
    surprise = np.zeros((len(days), shops))
    shocks = random.normal(0.0, _SURPRISE, surprise.shape)
    for day in days[1:]:
        carried = _CARRIED_AFTER if changed[day] else _CARRIED_BEFORE
        surprise[day] = carried * surprise[day - 1] + shocks[day]
    return Sales(np.exp(level + week + own[days % 7] + surprise), before)
