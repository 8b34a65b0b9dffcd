"""Routes of the closed loop: what serves, how versions compare, when tasks are retrained."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from service.openapi import problems, reference
from service.operations import jobs
from service.operations.access import check_access
from service.operations.answers import (
    RunAnswer,
    Runs,
    ScheduleAnswer,
    run_answer,
    schedule_answer,
)
from service.operations.commands import Done
from service.operations.requests import NewSchedule, Promotion, Retraining, Rollback, read_body
from service.parts import Parts, PartsOf
from service.problems import Fault, invalid, problem, unknown
from service.streams.refusals import not_kept
from store.errors import StoreError
from store.runs import find_run, list_runs
from store.schedules import find_schedule

router = APIRouter(tags=["operations"])

_PROMOTION_SECONDS = 120.0
_COMPARISON_SECONDS = 300.0
_REFUSED, _NOT_THERE, _BUSY = 3, 4, 5
"""How `gatecast promote` ends; 1 is a registry or a store that cannot be had."""

T = TypeVar("T")
ModelName = Annotated[str, Path(max_length=64, examples=["load-hourly"])]
RunId = Annotated[int, Path(ge=1, lt=2**63, examples=[7])]


async def _operator(request: Request, parts: PartsOf) -> None:
    check_access(request, parts.settings)


def _body(model: type[Any]) -> dict[str, Any]:
    """What the OpenAPI document says of a body that the route reads itself."""
    content = {"application/json": {"schema": reference(model)}}
    return {"requestBody": {"content": content}}


_OPERATOR = [Depends(_operator)]


@router.post(
    "/v1/models/{model}/promote",
    summary="Promote a version",
    response_class=Response,
    dependencies=_OPERATOR,
    openapi_extra=_body(Promotion),
    responses=problems(401, 404, 409, 422, 503),
)
async def promote(model: ModelName, request: Request, parts: PartsOf) -> Response:
    """Make a version champion if it passes the gate. The service follows at its next look.

    Refused by the gate: 409, whose `reasons` say which rules it broke.
    """
    said = await read_body(request, parts, Promotion)
    parts.library.slot(model)
    words = ["promote", model, f"--version={said.version}", *_record(said.reason, said.by)]
    return _decided(await parts.commands.run([*words, *_force(said)], _PROMOTION_SECONDS))


@router.post(
    "/v1/models/{model}/rollback",
    summary="Return to the version before",
    response_class=Response,
    dependencies=_OPERATOR,
    openapi_extra=_body(Rollback),
    responses=problems(401, 404, 422, 503),
)
async def rollback(model: ModelName, request: Request, parts: PartsOf) -> Response:
    """Make the previous champion champion again, without asking the gate."""
    said = await read_body(request, parts, Rollback)
    parts.library.slot(model)
    words = ["rollback", model, *_record(said.reason, said.by)]
    return _decided(await parts.commands.run(words, _PROMOTION_SECONDS))


@router.get(
    "/v1/models/{model}/compare",
    summary="Versions side by side",
    response_class=Response,
    responses=problems(404, 422, 503),
)
async def compare(
    model: ModelName,
    parts: PartsOf,
    versions: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,9}(,[0-9]{1,9}){0,31}$", examples=["1,2"])
    ] = None,
) -> Response:
    """Scores of versions on the same windows, with significance, costs, live scores and changes."""
    parts.library.slot(model)
    words = ["compare", model, "--format=json"]
    if versions is not None:
        words.append(f"--versions={versions}")
    done = await parts.commands.run(words, _COMPARISON_SECONDS)
    if done.status == _NOT_THERE:
        raise unknown("version", "versions", done.complaint)
    if done.status:
        raise _unavailable(done)
    return Response(done.output, media_type="application/json")


@router.post(
    "/v1/models/{model}/retrain",
    summary="Retrain now",
    status_code=202,
    dependencies=_OPERATOR,
    openapi_extra=_body(Retraining),
    responses=problems(401, 404, 422, 503),
)
async def retrain(
    model: ModelName, request: Request, response: Response, parts: PartsOf
) -> RunAnswer:
    """Queue a retraining, which `gatecast scheduler` carries out. One that waits is not doubled."""
    said = await read_body(request, parts, Retraining)
    parts.library.slot(model)
    run = await _write(parts, jobs.ask_now, model, said.by)
    response.headers["location"] = f"/v1/runs/{run.id}"
    return run_answer(run, whole=True)


@router.get(
    "/v1/models/{model}/schedule", summary="Schedule of a model", responses=problems(404, 503)
)
async def get_schedule(model: ModelName, parts: PartsOf) -> ScheduleAnswer:
    """When the model is retrained, and on what."""
    parts.library.slot(model)
    found = await _read(parts, find_schedule, model)
    if found is None:
        raise unknown("schedule", "model", "the model has no schedule; PUT sets one")
    return schedule_answer(found)


@router.put(
    "/v1/models/{model}/schedule",
    summary="Set the schedule of a model",
    dependencies=_OPERATOR,
    openapi_extra=_body(NewSchedule),
    responses=problems(401, 404, 422, 503),
)
async def put_schedule(model: ModelName, request: Request, parts: PartsOf) -> ScheduleAnswer:
    """Set when the model is retrained."""
    said = await read_body(request, parts, NewSchedule)
    parts.library.slot(model)
    return schedule_answer(await _write(parts, jobs.set_schedule, model, said, "http"))


@router.get("/v1/runs", summary="Runs", responses=problems(422, 503))
async def get_runs(
    parts: PartsOf,
    model: Annotated[str | None, Query(max_length=64)] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Runs:
    """Retrainings, newest first; `before` the id that the page before ended with."""
    found = await _read(parts, list_runs, task=model, before=before, limit=limit)
    return Runs(runs=[run_answer(each, whole=False) for each in found])


@router.get("/v1/runs/{run}", summary="One run", responses=problems(404, 503))
async def get_run(run: RunId, parts: PartsOf) -> RunAnswer:
    """A retraining: how far it is, its log, and what came of it."""
    found = await _read(parts, find_run, run)
    if found is None:
        raise unknown("run", "run", "there is no such run")
    return run_answer(found, whole=True)


@router.post(
    "/v1/runs/{run}/cancel",
    summary="Cancel a run",
    dependencies=_OPERATOR,
    responses=problems(401, 404, 503),
)
async def cancel(run: RunId, parts: PartsOf) -> RunAnswer:
    """Cancel a run that waits, or ask the one under way to stop; one that is over stays."""
    found = await _write(parts, jobs.cancel, run)
    if found is None:
        raise unknown("run", "run", "there is no such run")
    return run_answer(found, whole=True)


def _record(reason: str, by: str) -> list[str]:
    return [f"--reason={reason}", f"--by={by}", "--json"]


def _force(said: Promotion) -> list[str]:
    return ["--force"] if said.force else []


def _decided(done: Done) -> Response:
    """What `gatecast promote` or `rollback` said, as an answer."""
    if done.status not in (0, _REFUSED, _NOT_THERE, _BUSY):
        raise _unavailable(done)
    said = orjson.loads(done.output)
    if done.status == _REFUSED:
        members = {name: said[name] for name in ("champion", "previous", "reasons")}
        raise problem(409, "promotion-refused", said["reason"], members=members)
    if done.status == _NOT_THERE:
        raise unknown("version", "version", said["reason"])
    if done.status == _BUSY:
        raise problem(503, "busy", said["reason"], headers={"retry-after": "5"})
    return Response(done.output, media_type="application/json")


def _unavailable(done: Done) -> Exception:
    """What the command could not do. A command line that it cannot read is a request's fault."""
    if done.status == 2:
        return invalid([Fault(field="body", reason=done.complaint or "cannot be carried out")])
    reason = done.complaint or "the registry or the store does not answer"
    return problem(503, "operation-failed", reason, headers={"retry-after": "5"})


async def _read(parts: Parts, work: Callable[..., T], *args: object, **named: object) -> T:
    return await _in_time(parts.keeper.read(work, *args, **named), parts)


async def _write(parts: Parts, work: Callable[..., T], *args: object) -> T:
    return await _in_time(parts.keeper.change(work, *args), parts)


async def _in_time(work: Awaitable[T], parts: Parts) -> T:
    try:
        async with asyncio.timeout(parts.settings.request_seconds):
            return await work
    except StoreError as error:
        raise not_kept(error.reason) from None
    except TimeoutError:
        raise not_kept("the store does not answer") from None
