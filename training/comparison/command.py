"""What `gatecast compare` does, once its text has become values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store.settings import Settings
from training.columns import panel_for
from training.comparison.head_to_head import HeadToHead, Live, head_to_head
from training.comparison.joint import Joint, common, kept_together, scored_together
from training.load_version import load_manifest
from training.registry import Registry, RegistryError
from training.versions import Version, pick, versions


@dataclass(frozen=True, slots=True)
class Rescoring:
    """Data and windows to score versions on anew, as `gatecast backtest` has them."""

    data: str
    columns: str
    query: str | None
    n_windows: int
    step_size: int | None
    cutoff: str | None


def compare_versions(
    settings: Settings,
    task: str,
    numbers: Sequence[int],
    rescoring: Rescoring | None,
    *,
    live: Live | None = None,
) -> HeadToHead:
    """Compare the versions of a task, or those of them in `numbers`.

    live: scores of the forecasts that were served, by version. Raises RegistryError for a task or a
    version that the registry does not have, ValueError for data that do not do.
    """
    registry = Registry.of(settings)
    every = versions(registry, task)
    chosen = pick(every, numbers) if numbers else every
    if rescoring is None:
        joint = kept_together(registry, chosen)
    else:
        joint = _scored(registry, chosen, rescoring)
    return head_to_head(registry, task, every, chosen, joint, live=live)


def _scored(registry: Registry, chosen: Sequence[Version], how: Rescoring) -> Joint:
    specs = {}
    for version in chosen:
        try:
            specs[version.number] = load_manifest(registry, version).spec
        except RegistryError:  # told when it is loaded
            continue
    if not specs:
        raise ValueError("none of the versions can be fetched")
    panel = panel_for(common(list(specs.values())), how.data, how.columns, how.query)
    instant = None
    if how.cutoff is not None:
        counted = panel.timeline.kind == "integer"
        instant = panel.timeline.parse([int(how.cutoff)] if counted else [how.cutoff])[0]
    return scored_together(
        registry,
        chosen,
        specs,
        panel,
        n_windows=how.n_windows,
        step_size=how.step_size,
        cutoff=instant,
    )


def write_chart(found: HeadToHead, path: Path) -> None:
    """The chart as a PNG file."""
    from training.comparison.plot import versions_chart  # noqa: PLC0415 - a second

    versions_chart(found).savefig(path, format="png")
