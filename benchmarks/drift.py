"""Drift: false alarms while nothing changes, and the delay until planted shifts are found.

    python -m benchmarks drift

takes some minutes. Errors of hourly streams are simulated (in units of their scale, standard
deviation 1), held against the quantiles of a normal distribution, and the means of the logarithm of
their losses over a day go through the test (`service.live.drift`), as the service does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from models.spec import DEFAULT_QUANTILES
from service.live.drift import THRESHOLD, Test

Floats = NDArray[np.float64]

_DAY = 24
_STREAMS, _DAYS = 200, 365
_BEFORE, _AFTER = 60, 60
_CROWD = 20
_LEVELS = np.array(DEFAULT_QUANTILES)
_QUANTILES = np.array([NormalDist().inv_cdf(level) for level in DEFAULT_QUANTILES])
_SWING = 1 + 0.8 * np.sin(2 * np.pi * np.arange(_DAY) / _DAY)


def main() -> None:
    """Print a line a kind of stream, then a line a shift."""
    bound = _DAYS / THRESHOLD
    print(f"{_STREAMS} streams over {_DAYS} days without a change; at most {bound:.1%} may alarm")
    for said, errors in _stationary().items():
        values = _blocks(errors(np.random.default_rng(1), _STREAMS, _DAYS * _DAY))
        alarms = sum(_alarm(each) is not None for each in values)
        neighbours = np.mean([np.corrcoef(each[:-1], each[1:])[0, 1] for each in values])
        print(
            f"  {said}: {alarms} alarms ({alarms / _STREAMS:.1%}); days correlate {neighbours:.2f}"
        )
    print(
        f"{_STREAMS} streams changed after {_BEFORE} days: share found in {_AFTER}, days until then"
    )
    for kind, errors in _stationary().items():
        if kind not in _SHIFTED:
            continue
        for said, shift in _shifts().items():
            made = errors(np.random.default_rng(2), _STREAMS, (_BEFORE + _AFTER) * _DAY)
            made[..., _BEFORE * _DAY :] = shift(made[..., _BEFORE * _DAY :])
            print(f"  {kind}, {said}: {_delays(_blocks(made))}", flush=True)


def _stationary() -> Mapping[str, Callable[[np.random.Generator, int, int], Floats]]:
    """Makers of errors (n, T), or (n, streams of one task, T)."""
    return {
        "independent": lambda random, n, t: random.standard_normal((n, t)),
        "autocorrelated 0.5": lambda random, n, t: _ar(random, n, t, 0.5),
        "autocorrelated 0.9": lambda random, n, t: _ar(random, n, t, 0.9),
        "heavy tails (t, 3 degrees)": lambda random, n, t: random.standard_t(3, (n, t)) / 3**0.5,
        "larger by day than by night": lambda random, n, t: (
            random.standard_normal((n, t)) * _tiled(_SWING, t)
        ),
        "biased by the hour, autocorrelated 0.5": lambda random, n, t: (
            _ar(random, n, t, 0.5) + _tiled(0.5 * (_SWING - 1), t)
        ),
        "smaller at weekends": lambda random, n, t: (
            random.standard_normal((n, t)) * _tiled(np.repeat([1, 1, 1, 1, 1, 0.6, 0.6], _DAY), t)
        ),
        "clustered variance (GARCH 0.1, 0.85)": _garch,
        f"{_CROWD} streams with a shock in common": _crowd,
    }


_SHIFTED = (
    "independent",
    "autocorrelated 0.9",
    "heavy tails (t, 3 degrees)",
    f"{_CROWD} streams with a shock in common",
)


def _shifts() -> Mapping[str, Callable[[Floats], Floats]]:
    return {
        "mean + 0.5": lambda e: e + 0.5,
        "mean + 1": lambda e: e + 1,
        "mean + 2": lambda e: e + 2,
        "deviation x 1.25": lambda e: e * 1.25,
        "deviation x 1.5": lambda e: e * 1.5,
        "deviation x 2": lambda e: e * 2,
        "season broken by 1": lambda e: e + _tiled((_SWING - 1) / 0.8, e.shape[-1]),
        "season broken by 2": lambda e: e + 2 * _tiled((_SWING - 1) / 0.8, e.shape[-1]),
    }


def _ar(random: np.random.Generator, n: int, t: int, by: float) -> Floats:
    made = random.standard_normal((n, t))
    for step in range(1, t):
        made[:, step] = by * made[:, step - 1] + (1 - by * by) ** 0.5 * made[:, step]
    return made


def _garch(random: np.random.Generator, n: int, t: int) -> Floats:
    made, variance = random.standard_normal((n, t)), np.ones(n)
    for step in range(t):
        made[:, step] *= np.sqrt(variance)
        variance = 0.05 + 0.1 * made[:, step] ** 2 + 0.85 * variance
    return made


def _crowd(random: np.random.Generator, n: int, t: int) -> Floats:
    common = _ar(random, n, t, 0.5)[:, None]
    made: Floats = 0.6 * common + 0.8 * random.standard_normal((n, _CROWD, t))
    return made


def _tiled(pattern: NDArray[np.floating], t: int) -> Floats:
    return np.resize(pattern, t).astype(np.float64)


def _blocks(errors: Floats) -> Floats:
    """(n, T) or (n, streams, T) errors -> (n, T / 24) means of a day's logarithms of losses."""
    days = []
    for start in range(0, errors.shape[-1], _DAY):
        error = errors[..., start : start + _DAY, None] - _QUANTILES
        loss = np.maximum(_LEVELS * error, (_LEVELS - 1) * error).mean(-1)
        days.append(np.log(loss).reshape(len(errors), -1).mean(-1))
    return np.stack(days, axis=1)


def _alarm(values: Floats) -> int | None:
    """The block after which drift is raised, from 0; None where it never is."""
    test = Test()
    for place, value in enumerate(values.tolist()):
        test = test.closed(value)
        if test.raised:
            return place
    return None


def _delays(values: Floats) -> str:
    alarms = [alarm for each in values if (alarm := _alarm(each)) is not None]
    delays = [alarm - _BEFORE + 1 for alarm in alarms if alarm >= _BEFORE]
    early = len(alarms) - len(delays)
    said = f"{len(delays) / len(values):.0%}"
    if delays:
        low, middle, high = np.percentile(delays, (10, 50, 90))
        said += f", {middle:.0f} ({low:.0f} to {high:.0f})"
    return said + (f", {early} before it" if early else "")


if __name__ == "__main__":
    main()
