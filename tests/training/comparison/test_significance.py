"""The tests of equal losses: known values, and how often they find what is not there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.comparison.significance import bootstrap, diebold_mariano, worse


def test_without_overlap_it_is_the_t_test_with_its_variance_corrected() -> None:
    d = np.random.default_rng(0).normal(0.3, 1.0, (1, 20))
    found = diebold_mariano(d, np.zeros_like(d))
    assert found is not None
    # h = 1: DM sqrt((n - 1) / n) is the paired t statistic itself
    expected = stats.ttest_1samp(d[0], 0.0)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.p_less == pytest.approx(1 - found.p / 2)


def test_with_overlap_it_is_what_the_formula_gives() -> None:
    d = np.array([[0.5, 0.1, -0.2, 0.4, 0.6, 0.3, 0.2, -0.1, 0.5, 0.7]])
    found = diebold_mariano(d, np.zeros_like(d), overlap=2)
    assert found is not None
    n, mean, c = 10, d.mean(), d[0] - d.mean()
    variance = (c @ c / n + 2 * (c[1:] @ c[:-1]) / n) / n
    statistic = mean / np.sqrt(variance) * np.sqrt((n + 1 - 4 + 2 / n) / n)
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(statistic), n - 1), rel=1e-12)


def test_a_negative_variance_falls_back_to_one_without_autocovariances() -> None:
    d = np.tile([1.0, -0.9], 6)[None]
    found = diebold_mariano(d, np.zeros_like(d), overlap=2)
    assert found is not None
    assert found.overlap == 1


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (-0.2, 0.0)])
def test_equal_differences_are_certain(value: float, p: float) -> None:
    d = np.full((3, 8), value)
    found = diebold_mariano(d, np.zeros_like(d))
    assert found is not None
    assert (found.statistic, found.p) == (None, p)


def test_too_few_give_nothing() -> None:
    d = np.ones((3, 3))
    assert diebold_mariano(d, 2 * d) is None
    assert diebold_mariano(np.ones((1, 6)), np.ones((1, 6)), overlap=4) is None
    assert bootstrap(d, 2 * d) is None
    assert bootstrap(np.full((9, 1), np.nan), np.ones((9, 1))) is None
    assert bootstrap(np.zeros((9, 1)), np.zeros((9, 1))) is None


def test_missing_windows_are_left_out() -> None:
    a = np.random.default_rng(1).normal(1.0, 0.1, (10, 9))
    a[3, 2] = a[7] = np.nan
    b = np.where(np.isnan(a), np.nan, 1.0)
    for found in (diebold_mariano(a, b), bootstrap(a, b)):
        assert found is not None
    interval = bootstrap(a, b)
    assert interval is not None
    assert (interval.unit, interval.n) == ("series", 9)


def test_the_interval_is_of_the_relative_difference() -> None:
    b = np.random.default_rng(2).uniform(0.5, 2.0, (40, 3))
    found = bootstrap(0.9 * b, b)
    assert found is not None
    assert (found.low, found.estimate, found.high) == pytest.approx((-0.1, -0.1, -0.1))


def test_of_few_series_windows_are_drawn() -> None:
    b = np.random.default_rng(3).uniform(0.5, 2.0, (2, 12))
    found = bootstrap(0.9 * b, b)
    assert found is not None
    assert (found.unit, found.n) == ("windows", 12)


def test_equal_forecasters_are_told_apart_as_seldom_as_the_level_says() -> None:
    """1000 comparisons of equals with errors in common: at most the level and three deviations."""
    random = np.random.default_rng(4)
    found = {"dm": 0, "bootstrap": 0}
    for _ in range(400):
        common = random.gamma(4.0, 0.25, (10, 8))
        a, b = (common * random.gamma(20.0, 0.05, common.shape) for _ in range(2))
        dm, interval = diebold_mariano(a, b), bootstrap(a, b, level=0.9)
        assert dm is not None
        assert interval is not None
        found["dm"] += dm.p_less < 0.05
        found["bootstrap"] += interval.high < 0.0
    assert all(count <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5 for count in found.values()), (
        found
    )
    assert min(found.values()) > 2


def test_a_paired_test_by_group() -> None:
    random = np.random.default_rng(5)
    a, b = random.normal(1.0, 0.3, (3, 9)), random.normal(1.0, 0.3, (3, 9))
    a[1, 7:] = np.nan
    a[2, 3:] = np.nan
    p, n = worse(a, b, axis=1)
    expected = [
        stats.ttest_rel(a[r, :k], b[r, :k], alternative="greater").pvalue
        for r, k in ((0, 9), (1, 7))
    ]
    np.testing.assert_allclose(p[:2], expected, rtol=1e-9)
    assert np.isnan(p[2])
    np.testing.assert_array_equal(n, [9, 7, 3])
    same, _ = worse(np.ones((2, 5)), np.ones((2, 5)), axis=1)
    np.testing.assert_array_equal(same, [1.0, 1.0])
