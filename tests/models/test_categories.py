"""What a series says of itself is what the forecaster knows, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest

from models.categories import listed, stat_value, stat_values
from tests.models.histories import spec_of

SPEC = spec_of(stat_exog=("kind", "area"), categorical=(("kind", ("shop", "warehouse")),))


def test_a_category_is_its_place_and_a_number_itself() -> None:
    assert stat_value(SPEC, "kind", "warehouse") == 1.0
    assert stat_value(SPEC, "area", -2.5) == -2.5
    np.testing.assert_array_equal(stat_values(SPEC, {"area": 3.0, "kind": "shop"}), [0.0, 3.0])


def test_null_is_unknown() -> None:
    assert np.isnan(stat_value(SPEC, "kind", None))
    assert np.isnan(stat_value(SPEC, "area", None))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("kind", "kiosk", "none that the model knows: shop, warehouse; null stands for any other"),
        ("kind", 1.0, "none that the model knows"),
        ("area", "large", "must be a number"),
        ("area", 1e39, "too large"),
    ],
)
def test_what_the_forecaster_cannot_read_is_told_and_to_another_version_unknown(
    name: str, value: float | str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        stat_value(SPEC, name, value)
    assert np.isnan(stat_values(SPEC, {name: value})).all()


def test_of_many_categories_a_few_are_named() -> None:
    assert listed([str(k) for k in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
