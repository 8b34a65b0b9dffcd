"""Live scores and drift as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from service.parts import Parts

_LABELS = ("task", "version", "lead")
_SUMS = (
    ("forecasts", "Forecasts of streams whose truth arrived here."),
    ("scaled_error", "Sum of their absolute errors, each over its stream's scale."),
    ("squared_error", "Sum of the squares of those."),
    ("quantile_loss", "Sum of their mean pinball losses, each over its stream's scale."),
)


def families(parts: Parts) -> Iterator[Metric]:
    """Sums since this process began, so that replicas add up; and the tests that all share."""
    totals = sorted(parts.tally.totals.items())
    for place, (name, said) in enumerate(_SUMS):
        family = CounterMetricFamily(f"gatecast_live_{name}", said, labels=_LABELS)
        for (task, version, lead), sums in totals:
            family.add_metric((task, version, str(lead)), float(sums[place]))
        yield family
    covered = CounterMetricFamily(
        "gatecast_live_covered",
        "How many truths lay within the central interval of so many percent.",
        labels=(*_LABELS, "level"),
    )
    for (task, version, lead), sums in totals:
        for level, count in (("80", sums[4]), ("95", sums[5])):
            if count == count:  # noqa: PLR0124 - NaN: no such interval
                covered.add_metric((task, version, str(lead), level), float(count))
    yield covered
    for place, (name, _) in enumerate(_SUMS):
        family = CounterMetricFamily(
            f"gatecast_shadow_champion_{name}",
            "Of the version that served, on what this challenger was scored on in shadow.",
            labels=_LABELS,
        )
        for (task, version, lead), sums in sorted(parts.shadow.beside.items()):
            family.add_metric((task, version, str(lead)), float(sums[place]))
        yield family
    raised = GaugeMetricFamily(
        "gatecast_drift_raised", "Whether drift was found since the version serves.", labels=_LABELS
    )
    statistic = GaugeMetricFamily(
        "gatecast_drift_statistic", "Of the test for drift, raised at 3000.", labels=_LABELS
    )
    for (task, version, lead), test in sorted(parts.recorder.drift.items()):
        labels = (task, version, str(lead))
        raised.add_metric(labels, float(test.raised_at is not None))
        statistic.add_metric(labels, test.statistic)
    yield raised
    yield statistic
