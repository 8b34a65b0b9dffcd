"""A stream's words about itself are kept as words, and read by each version in its own way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from models.context import Context
from models.predict import predict
from service.problems import ProblemError
from service.slots import Loaded
from service.streams.arrival import Arrival
from service.streams.observation_request import read_stream
from store.database import Database
from tests.service.registries import COUNTED
from tests.service.streams.driving import NAMES
from tests.service.streams.plain import assert_same
from tests.service.streams.replicas import Replica, replica
from tests.service.streams.versions import load, tiny

TASK = "counted"
NONE = np.zeros((2, 0), np.float32)
WORDS = ("a", "b", None)


def version(folder: Path, number: int, *known: str) -> Loaded:
    """One that knows these words of `kind`; without any, it takes numbers."""
    kinds: dict[str, Any] = {"timeline": COUNTED, "stat_exog": ("kind",)}
    spec = tiny(categorical=(("kind", known),) if known else (), **kinds)
    return load(folder / str(number), TASK, spec, seed=number, version=str(number))


async def put(made: Replica, name: str, word: str | None) -> None:
    body = read_stream(orjson.dumps({"stat_exog": {"kind": word}}))
    await made.streams.open(made.champion(TASK), name, body, 30)


async def refused(made: Replica, name: str, word: str) -> ProblemError:
    with pytest.raises(ProblemError) as problem:
        await put(made, name, word)
    return problem.value


async def asked(made: Replica, arrival: Arrival) -> np.ndarray[Any, Any] | None:
    [reply] = await made.engine.post(TASK, [arrival], wants=True, seconds=30)
    assert not isinstance(reply, ProblemError)
    return reply.values


def test_a_category_is_read_by_each_version_in_its_own_way(
    stored: Database, tmp_path: Path
) -> None:
    one, two, numbers = (
        version(tmp_path, 1, "a", "b"),
        version(tmp_path, 2, "b", "c"),
        version(tmp_path, 3),
    )

    async def body() -> None:
        async with replica(stored, one) as made:
            name = f"c{next(NAMES)}"
            for word in WORDS:
                await put(made, f"{name}{word}", word)
                await asked(made, Arrival(f"{name}{word}", [0, 1], [100.0, 101.0]))
            for serving, places in (
                (one, (0.0, 1.0, np.nan)),
                (two, (np.nan, 0.0, np.nan)),
                (numbers, (np.nan, np.nan, np.nan)),
            ):
                made.promote(serving)
                for word, place in zip(WORDS, places, strict=True):
                    stat = np.array([place], np.float32)
                    futr = np.zeros((3, 0), np.float32)
                    past = Context(np.array([100.0, 101.0]), NONE, futr, stat)
                    expected = predict(serving.forecaster, [past])[0]
                    assert_same(await asked(made, Arrival(f"{name}{word}")), expected)

    asyncio.run(body())


def test_a_word_that_is_not_known_or_another_one_is_refused(
    stored: Database, tmp_path: Path
) -> None:
    one = version(tmp_path, 1, "a", "b")

    async def body() -> None:
        async with replica(stored, one) as made:
            name = f"c{next(NAMES)}"
            [fault] = (await refused(made, name, "c")).problem.errors
            assert (fault.field, "knows: a, b; null" in fault.reason) == ("stat_exog.kind", True)
            await put(made, name, "a")
            assert (await refused(made, name, "b")).problem.status == 409
            assert (await made.streams.snapshot(one, name))["stat_exog"] == {"kind": "a"}

    asyncio.run(body())
