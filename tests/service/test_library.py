"""Versions on demand: found once, kept while used, forgotten when not."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from models.bundle import BundleError
from service.bundles import Bundles
from service.library import Library
from service.problems import ProblemError
from service.registry import RegistryDownError
from service.slots import Loaded, Slot, Slots
from tests.service.registries import COUNTED, spec, write
from tests.service.shelf import Shelf


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    for seed in range(1, 5):
        write(folder / str(seed), spec(timeline=COUNTED), seed)
    return folder


@pytest.fixture
def shelf(versions: Path) -> Shelf:
    return Shelf(versions)


def run(
    shelf: Shelf, folder: Path, work: Callable[[Library, Bundles, Slots], Awaitable[Any]]
) -> Any:
    async def main() -> Any:
        slots = Slots()
        slots.complete = True
        bundles = Bundles(folder, shelf, max_bytes=10**6, kept=2)
        library = Library(slots, bundles, shelf, kept=2)
        try:
            slots.put(Slot("task", aliases={"challenger": "2"}))
            loaded = await bundles.load("task", "1", None)
            slots.put(Slot("task", champion=loaded, aliases={"challenger": "2"}))
            return await work(library, bundles, slots)
        finally:
            await library.close()
            await bundles.close()

    return asyncio.run(main())


def status(error: BaseException) -> int:
    assert isinstance(error, ProblemError)
    return error.problem.status


def test_the_champion_is_found_at_once_by_its_alias_or_its_number(
    shelf: Shelf, tmp_path: Path
) -> None:
    async def work(library: Library, _: Bundles, slots: Slots) -> None:
        slot = slots.get("task")
        assert slot is not None
        for asked in ({}, {"alias": "champion"}, {"version": "1"}):
            assert await library.find("task", **asked) is slot.champion

    run(shelf, tmp_path, work)
    assert shelf.fetched == ["1"]


def test_before_the_registry_was_looked_at_no_model_is_unknown(
    shelf: Shelf, tmp_path: Path
) -> None:
    async def work(library: Library, _: Bundles, slots: Slots) -> list[int]:
        statuses = []
        for slots.complete in (False, True):
            with pytest.raises(ProblemError) as raised:
                await library.find("another")
            statuses.append(status(raised.value))
        return statuses

    assert run(shelf, tmp_path, work) == [503, 404]


def test_requesters_of_one_version_share_its_loading(shelf: Shelf, tmp_path: Path) -> None:
    async def work(library: Library, *_: Any) -> list[Loaded]:
        asked = ({"version": "2"}, {"alias": "challenger"}) * 5
        return await asyncio.gather(*(library.find("task", **each) for each in asked))

    found = run(shelf, tmp_path, work)
    assert len({id(each) for each in found}) == 1
    assert shelf.fetched == ["1", "2"]


def test_a_requester_who_leaves_does_not_end_the_loading(shelf: Shelf, tmp_path: Path) -> None:
    async def work(library: Library, *_: Any) -> Loaded:
        leaving = asyncio.create_task(library.find("task", version="2"))
        await asyncio.sleep(0.01)
        staying = asyncio.create_task(library.find("task", version="2"))
        await asyncio.sleep(0.01)
        leaving.cancel()
        return await staying

    assert run(shelf, tmp_path, work).version == "2"
    assert shelf.fetched == ["1", "2"]


def test_only_so_many_versions_stay_loaded_and_a_reload_is_from_disk(
    shelf: Shelf, tmp_path: Path
) -> None:
    async def work(library: Library, *_: Any) -> tuple[Loaded, Loaded, Loaded]:
        first = await library.find("task", version="2")
        await library.find("task", version="3")
        kept = await library.find("task", version="2")
        await library.find("task", version="4")
        await library.find("task", version="3")
        return first, kept, await library.find("task", version="2")

    first, kept, again = run(shelf, tmp_path, work)
    assert kept is first
    assert again is not first
    assert shelf.fetched == ["1", "2", "3", "4"]


def test_without_a_registry_a_version_on_disk_is_found_and_another_is_not(
    shelf: Shelf, tmp_path: Path
) -> None:
    async def work(library: Library, bundles: Bundles, _: Slots) -> ProblemError:
        await bundles.load("task", "2", None)
        shelf.down = RegistryDownError("gone")
        assert (await library.find("task", version="2")).version == "2"
        with pytest.raises(ProblemError) as caught:
            await library.find("task", version="3")
        return caught.value

    error = run(shelf, tmp_path, work)
    assert (status(error), error.headers["retry-after"]) == (503, "5")


def test_what_is_not_there_is_not_found(shelf: Shelf, tmp_path: Path) -> None:
    async def work(library: Library, *_: Any) -> list[Any]:
        questions = [
            library.find("nothing"),
            library.find("task", version="99"),
            library.find("task", alias="retired"),
        ]
        return await asyncio.gather(*questions, return_exceptions=True)

    assert [status(error) for error in run(shelf, tmp_path, work)] == [404, 404, 404]


def test_an_unusable_version_is_not_fetched_again_at_once(
    shelf: Shelf, versions: Path, tmp_path: Path
) -> None:
    shelf.folder = tmp_path / "versions"
    shutil.copytree(versions, shelf.folder)
    (shelf.folder / "2" / "weights.safetensors").write_bytes(b"no weights")

    async def work(library: Library, *_: Any) -> list[int]:
        found = []
        for _try in range(3):
            with pytest.raises(ProblemError) as caught:
                await library.find("task", version="2")
            found.append(status(caught.value))
        return found

    assert run(shelf, tmp_path / "bundles", work) == [409, 409, 409]
    assert shelf.fetched == ["1", "2"]


def test_a_bundle_on_disk_is_used_only_for_what_it_was_made_from(
    shelf: Shelf, tmp_path: Path
) -> None:
    async def work(_: Library, bundles: Bundles, __: Slots) -> None:
        await bundles.load("task", "1", "made from 1")
        assert shelf.fetched == ["1"]
        shelf.source = "made anew from {version}"
        loaded = await bundles.load("task", "1", "made anew from 1")
        assert loaded.source == "made anew from 1"
        assert shelf.fetched == ["1", "1"]

    run(shelf, tmp_path, work)


def test_a_bundle_that_rots_on_disk_is_fetched_again(shelf: Shelf, tmp_path: Path) -> None:
    async def work(_: Library, bundles: Bundles, __: Slots) -> None:
        weights = tmp_path / "task" / "1" / "bundle" / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        assert (await bundles.load("task", "1", None)).version == "1"
        assert shelf.fetched == ["1", "1"]

    run(shelf, tmp_path, work)


def test_a_failed_fetch_leaves_nothing_on_disk(
    shelf: Shelf, versions: Path, tmp_path: Path
) -> None:
    shelf.folder = tmp_path / "versions"
    shutil.copytree(versions, shelf.folder)
    (shelf.folder / "2" / "manifest.json").write_bytes(b"{}")

    async def work(_: Library, bundles: Bundles, __: Slots) -> None:
        with pytest.raises(BundleError):
            await bundles.load("task", "2", None)

    run(shelf, tmp_path / "bundles", work)
    assert [place.name for place in (tmp_path / "bundles" / "task").iterdir()] == ["1"]


def test_what_served_last_is_remembered_and_old_versions_leave_the_disk(
    shelf: Shelf, tmp_path: Path
) -> None:
    async def work(_: Library, bundles: Bundles, __: Slots) -> None:
        for version in ("1", "2", "3", "4"):
            await bundles.remember(await bundles.load("task", version, None))
        found = await bundles.remembered("task")
        assert found is not None
        assert found.version == "4"
        assert bundles.tasks() == ["task"]
        assert await bundles.remembered("never") is None

    run(shelf, tmp_path, work)
    kept = {place.name for place in (tmp_path / "task").iterdir()}
    assert kept == {"3", "4", "champion"}


@pytest.mark.parametrize(
    "written", [b"", b"..\nx", b"1", b"\xff\xff", b"999\nmade from 999", b"../../etc\nx"]
)
def test_a_note_that_makes_no_sense_is_no_champion(
    shelf: Shelf, tmp_path: Path, written: bytes
) -> None:
    async def work(_: Library, bundles: Bundles, __: Slots) -> Any:
        (tmp_path / "task" / "champion").write_bytes(written)
        return await bundles.remembered("task")

    assert run(shelf, tmp_path, work) is None


def test_a_disk_that_takes_nothing_is_no_fault_of_the_version(shelf: Shelf, tmp_path: Path) -> None:
    async def work(library: Library, *_: Any) -> ProblemError:
        shutil.rmtree(tmp_path / "bundles")
        (tmp_path / "bundles").write_text("a file where a folder belongs")
        with pytest.raises(ProblemError) as caught:
            await library.find("task", version="2")
        return caught.value

    error = run(shelf, tmp_path / "bundles", work)
    assert status(error) == 503
    assert str(tmp_path) not in str(error.problem)
