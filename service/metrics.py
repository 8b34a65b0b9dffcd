"""`/metrics`: what Prometheus reads of the service, made anew at each reading."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.live import metrics as live
from service.parts import Parts, PartsOf

router = APIRouter(tags=["operations"])


class Now(Collector):
    """The parts as they are now. Nothing is kept: a process may have two services."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """The families."""
        yield from _registry(self._parts)
        yield from live.families(self._parts)


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={200: {"description": "For Prometheus", "content": {"text/plain": {}}}},
)
async def metrics(parts: PartsOf) -> Response:
    """What serves, how good it is and whether the registry answers, as Prometheus reads it."""
    return Response(generate_latest(Now(parts)), media_type=CONTENT_TYPE_LATEST)


def _registry(parts: Parts) -> Iterator[Metric]:
    up = GaugeMetricFamily("gatecast_registry_up", "Whether the registry answered the last look.")
    up.add_metric((), float(parts.watch.answered))
    yield up
    labels = ("task", "version", "from_disk")
    serving = GaugeMetricFamily(
        "gatecast_serving",
        "1 for the version that serves; from_disk: no registry has confirmed it yet.",
        labels=labels,
    )
    refused = GaugeMetricFamily(
        "gatecast_champion_refused",
        "Whether the registry's champion is not what serves, because it cannot be used.",
        labels=("task",),
    )
    for slot in parts.slots:
        if slot.champion is not None:
            disk = str(slot.from_disk).lower()
            serving.add_metric((slot.task, slot.champion.version, disk), 1.0)
        refused.add_metric((slot.task,), float(slot.last_error is not None))
    yield serving
    yield refused
