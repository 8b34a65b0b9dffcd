"""The version that serves, as a contender on the windows of those that would replace it."""

from __future__ import annotations

from collections.abc import Sequence

from models.spec import Spec
from store.conventions import CHAMPION
from training.backtest import Contender, contender
from training.load_version import load_version
from training.panel import Panel
from training.registry import Registry, RegistryError, open_client
from training.versions import Version, registered_task, versions


def label(number: int) -> str:
    """What a registered version is called among forecasters."""
    return f"version {number}"


def incumbents(registry: Registry, task: str, judge: Spec, panel: Panel) -> dict[str, Contender]:
    """The task's champion, ready to be scored beside new forecasters of `judge`; or nothing.

    Nothing where there is no champion, where it does not load, and where it cannot forecast these
    windows: `unfit` says why to whoever asks later.
    """
    if registered_task(open_client(registry), task) is None:
        return {}
    found: dict[str, Contender] = {}
    for version in versions(registry, task):
        if CHAMPION in version.aliases:
            try:
                forecaster, _ = load_version(registry, version)
            except RegistryError:
                continue
            if unfit(forecaster.spec, judge) is None and not _lacks(forecaster.spec, panel):
                found[label(version.number)] = contender(forecaster)
    return found


def unfit(spec: Spec, judge: Spec) -> str | None:
    """Why a forecaster of `spec` cannot forecast the windows of one of `judge`; None if it can."""
    if spec.timeline != judge.timeline:
        return "it runs on another frequency or time zone"
    if spec.horizon < judge.horizon:
        return f"it forecasts {spec.horizon} steps, not {judge.horizon}"
    return None


def champion_of(found: Sequence[Version]) -> Version | None:
    """The champion among the versions of a task."""
    return next((version for version in found if CHAMPION in version.aliases), None)


def _lacks(spec: Spec, panel: Panel) -> bool:
    roles = ("hist_exog", "futr_exog", "stat_exog")
    lacks = any(set(getattr(spec, role)) - set(getattr(panel, role)) for role in roles)
    return lacks or any((n in spec.categories) != (n in panel.categories) for n in spec.stat_exog)
