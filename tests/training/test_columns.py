"""Text of the command line as values."""

from __future__ import annotations

import pytest

from training.columns import seconds


@pytest.mark.parametrize(
    ("text", "length"), [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), (" 2h ", 7200.0)]
)
def test_lengths_of_time_are_read(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "10", "0m", "-5m", "1d", "m", "1e9h", "nan", "ten minutes"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        seconds(text)
