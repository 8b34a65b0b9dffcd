"""Static covariates in words are read as categories, and never taken for numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from training.panel import Panel
from training.sources import DataError, SourceError, digest, load, load_frame

DAYS = ("2024-01-01", "2024-01-02")


def frame(*kinds: object) -> pl.DataFrame:
    """Two days each of series "0", "1" … of these kinds."""
    rows = [(str(k), day, 1.0, kind) for k, kind in enumerate(kinds) for day in DAYS]
    return pl.DataFrame(rows, schema=["unique_id", "ds", "y", "kind"], orient="row", strict=False)


def read(given: pl.DataFrame) -> Panel:
    return load_frame(given, freq="D", stat_exog=("kind",))


def places(panel: Panel) -> list[float]:
    return [float(series.stat_exog[0]) for series in panel.series]


def test_words_are_categories_in_order_and_none_is_unknown() -> None:
    panel = read(frame("shop", "school", None, "shop"))
    assert panel.categories == {"kind": ("school", "shop")}
    np.testing.assert_array_equal(places(panel), [1.0, 0.0, np.nan, 1.0])


def test_a_file_says_the_same_as_a_frame(tmp_path: Path) -> None:
    given = frame("shop", "NA", "école")
    given.write_csv(tmp_path / "a.csv")
    panel = load(tmp_path / "a.csv", freq="D", stat_exog=("kind",))
    assert panel.categories == {"kind": ("shop", "école")}
    assert digest(panel) == digest(read(given))


@pytest.mark.parametrize("kinds", [("1", "2.5"), (1, 2), (True, False), ("yes", "no")])
def test_numbers_stay_numbers_and_yes_and_no_are_words(kinds: tuple[object, ...]) -> None:
    panel = read(frame(*kinds))
    assert ("kind" in panel.categories) == ("yes" in kinds)


def test_a_type_of_categories_holds_them_whatever_they_look_like() -> None:
    given = frame("1", "2").with_columns(pl.col("kind").cast(pl.Categorical))
    assert read(given).categories == {"kind": ("1", "2")}
    frames = given.with_columns(pl.col("kind").cast(pl.Enum(["2", "1"]))).to_pandas()
    assert load_frame(frames, freq="D", stat_exog=("kind",)).categories == {"kind": ("1", "2")}
    assert isinstance(frames["kind"].dtype, pd.CategoricalDtype)


def test_a_word_among_numbers_is_a_fault_and_no_category() -> None:
    with pytest.raises(DataError, match="series '1', row 3, column 'kind': 'l0' is no number"):
        read(frame("10", "l0"))


def test_a_category_that_changes_within_a_series_is_told_in_its_words() -> None:
    given = frame("shop", "school").with_columns(unique_id=pl.lit("a"), ds=pl.Series([*range(4)]))
    with pytest.raises(DataError, match="row 3, column 'kind': is 'school' after 'shop': it must"):
        load_frame(given, stat_exog=("kind",))


def test_more_categories_than_can_be_learnt_are_told() -> None:
    with pytest.raises(DataError, match="holds 1025 different words: at most 1024 categories"):
        read(frame(*(f"id-{k}" for k in range(1025))))
    with pytest.raises(DataError, match="is longer than the 128 characters of a category"):
        read(frame("a", "b" * 129))


def test_more_categories_than_can_be_learnt_in_all_are_told() -> None:
    kinds = [f"kind{n}" for n in range(5)]
    words = [f"id-{k}" for k in range(1000)]
    given = pl.DataFrame({"unique_id": words, "ds": 1, "y": 1.0} | dict.fromkeys(kinds, words))
    assert len(load_frame(given, stat_exog=tuple(kinds[:4])).categories) == 4
    with pytest.raises(SourceError, match="5000 different words in all: at most 4096 categories"):
        load_frame(given, stat_exog=tuple(kinds))


def test_the_words_count_in_the_digest() -> None:
    assert digest(read(frame("a", "b"))) != digest(read(frame("a", "c")))
