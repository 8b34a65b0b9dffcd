"""What a retraining fits: what was said, and for the rest what the champion is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from models.holidays import Holidays
from tests.training.fits import COUNTED, HOURS, spec
from training.jobs.cli_options import fit_options
from training.jobs.options import Options


def test_what_is_not_said_is_as_the_champion_is() -> None:
    found = Options(seed=3).after(spec(HOURS))
    assert (found.horizon, found.season, found.freq, found.timezone) == (
        6,
        (24,),
        "h",
        "Europe/Berlin",
    )
    assert (found.hist_exog, found.futr_exog, found.stat_exog) == (
        ("temperature",),
        ("price",),
        ("area",),
    )
    assert (found.cells, found.seed) == (("lstm", "gru", "ensemble"), 3)


def test_what_is_said_counts() -> None:
    said = Options(horizon=9, cells=("gru",), season=(), hist_exog=(), timezone="UTC")
    found = said.after(spec(HOURS))
    assert (found.horizon, found.cells, found.season) == (9, ("gru",), ())
    assert (found.hist_exog, found.timezone) == ((), "UTC")


def test_counted_steps_have_neither_frequency_nor_zone() -> None:
    found = Options().after(spec(COUNTED, calendar=()))
    assert (found.freq, found.timezone) == (None, None)


def test_the_place_of_the_champion_s_holidays_is_kept_unless_another_is_said() -> None:
    champion = spec(HOURS, holidays=Holidays(place="DE-BY", days=(19811,)))
    assert Options().after(champion).holidays == "DE-BY"
    assert Options(holidays="FR").after(champion).holidays == "FR"
    assert Options().after(spec(HOURS)).holidays is None


def test_a_first_fit_needs_a_horizon() -> None:
    with pytest.raises(ValueError, match="--horizon"):
        Options().after(None)
    assert Options(horizon=4).after(None).cells == ("lstm", "gru", "ensemble")


def test_options_survive_the_store() -> None:
    said = Options(horizon=4, season=(24, 168), cells=("gru",), columns="y=load")
    assert Options.model_validate_json(said.model_dump_json(exclude_defaults=True)) == said


def test_a_preset_has_its_own_cell() -> None:
    with pytest.raises(ValidationError, match="preset"):
        Options(preset="textbook", cells=("gru",))


@pytest.mark.parametrize(("said", "threads"), [(None, 1), (0, 0), (3, 3)])
def test_fits_take_one_thread_unless_another_number_is_said(said: int | None, threads: int) -> None:
    roles = dict.fromkeys(("cell", "season", "hist_exog", "futr_exog", "stat_exog"))
    assert fit_options(**roles, threads=said) == Options(threads=threads)
