from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import strict_json, weights
from models.bundle import DIGEST, MANIFEST, BundleError, read_bundle, write_bundle
from models.context import Context
from models.forecaster import new_forecaster
from models.manifest import WEIGHTS, Manifest
from models.predict import predict
from tests.models.bundles import DATA, MEMORY, context, reseal, seal, spec, written
from tests.models.damage import Corruption, damage
from tests.models.forgeries import forgeries

CORRUPTIONS = [*damage(), *forgeries()]


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    written(folder, spec())
    return folder


@pytest.fixture
def bundle(intact: Path, tmp_path: Path) -> Path:
    return shutil.copytree(intact, tmp_path / "bundle")


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quantiles": (), "skip": False, "layers": 2},
        {"calendar": (), "hist_exog": (), "futr_exog": (), "stat_exog": ()},
        {"transform": "log", "lags": 12, "sees_gaps": False},
        {"gated": 3},
    ],
    ids=["covariates", "point", "bare", "log", "gated"],
)
def test_a_bundle_gives_back_the_same_forecasts_bit_for_bit(
    tmp_path: Path, cell: str, changes: dict[str, object]
) -> None:
    shape = spec(cell=cell, **changes)
    forecaster, manifest = written(tmp_path / "bundle", shape)
    read, read_manifest = read_bundle(tmp_path / "bundle")
    assert read_manifest == manifest
    assert read.spec == shape
    assert not read.training
    contexts = [context(shape, steps, seed) for seed, steps in enumerate((3, 24, 200))]
    np.testing.assert_array_equal(predict(read, contexts), predict(forecaster, contexts))


def test_there_are_at_least_200_ways_to_spoil_a_bundle() -> None:
    assert len(CORRUPTIONS) >= 200
    assert len({name for name, _ in CORRUPTIONS}) == len(CORRUPTIONS)


@pytest.mark.parametrize(("name", "corrupt"), CORRUPTIONS, ids=[name for name, _ in CORRUPTIONS])
def test_a_spoilt_bundle_is_refused_with_a_reason(
    bundle: Path, name: str, corrupt: Corruption
) -> None:
    corrupt(bundle, np.random.default_rng(crc32(name.encode())))
    with pytest.raises(BundleError) as refusal:
        read_bundle(bundle)
    assert 10 < len(refusal.value.reason) < 700
    assert any(file in refusal.value.reason for file in (MANIFEST, DIGEST, WEIGHTS, "no bundle"))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(file=st.sampled_from([MANIFEST, DIGEST, WEIGHTS]), content=st.binary(max_size=200))
def test_whatever_a_file_holds_only_a_bundle_error_comes_out(
    intact: Path, tmp_path_factory: pytest.TempPathFactory, file: str, content: bytes
) -> None:
    folder = shutil.copytree(intact, tmp_path_factory.mktemp("any") / "bundle")
    if file == MANIFEST:
        seal(folder, content)
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(folder)


@pytest.mark.parametrize("place", ["nowhere", "file", "empty"])
def test_what_is_no_folder_of_a_bundle_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("{}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError):
        read_bundle(tmp_path / place)


def test_a_bundle_larger_than_allowed_is_refused(bundle: Path) -> None:
    size = sum(path.stat().st_size for path in bundle.iterdir())
    assert read_bundle(bundle, max_bytes=size)
    with pytest.raises(BundleError, match="more than the"):
        read_bundle(bundle, max_bytes=size - 1)


def test_a_giant_spec_is_refused_before_anything_is_allocated(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    giant = {"hidden_size": 4096, "layers": 8, "input_size": 8192, "lags": 8192, "horizon": 4096}
    manifest["spec"] |= giant  # 21 GB of weights
    manifest["golden"]["futr"] = [[0.0]] * 4096
    manifest["golden"]["outputs"] = [[0.0] * 3] * 4096
    seal(bundle, json.dumps(manifest).encode())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=WEIGHTS):
        read_bundle(bundle)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024  # KiB


def test_a_folder_that_exists_is_left_alone(bundle: Path) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(BundleError, match="exists"):
        written(bundle, spec(cell="gru"))
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_bundle_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    forecaster = new_forecaster(spec(), 0)
    with torch.no_grad():
        forecaster.head.state.bias[0] = float("nan")
    with pytest.raises(BundleError, match="finite"):
        write_bundle(
            tmp_path / "bundle", forecaster, data=DATA, golden=context(spec()), scores=None, seed=0
        )
    assert list(tmp_path.iterdir()) == []


def test_a_golden_context_without_an_observation_is_refused(tmp_path: Path) -> None:
    given_context = context(spec())
    empty = Context(
        np.full_like(given_context.y, np.nan),
        given_context.exog,
        given_context.futr,
        given_context.stat,
    )
    with pytest.raises(BundleError, match="finite"):
        write_bundle(
            tmp_path / "bundle",
            new_forecaster(spec(), 0),
            data=DATA,
            golden=empty,
            scores=None,
            seed=0,
        )


def test_reading_draws_no_random_numbers(bundle: Path) -> None:
    state = torch.random.get_rng_state()
    read_bundle(bundle)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_threads_read_bundles_side_by_side(bundle: Path) -> None:
    expected = predict(read_bundle(bundle)[0], [context(spec())])
    found: list[bool] = []

    def read() -> None:
        for _ in range(5):
            forecaster, _ = read_bundle(bundle)
            found.append(np.array_equal(predict(forecaster, [context(spec())]), expected))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


def test_descriptors_are_given_back(bundle: Path) -> None:
    read_bundle(bundle)
    before = len(list(Path("/proc/self/fd").iterdir()))
    (bundle / WEIGHTS).write_bytes(b"")
    for _ in range(20):
        with pytest.raises(BundleError):
            read_bundle(bundle)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_digest_is_what_sha256sum_checks(bundle: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "-c", DIGEST], cwd=bundle, capture_output=True, check=True
    )
    assert checked.stdout == f"{MANIFEST}: OK\n".encode()


def test_the_manifest_says_what_the_forecaster_is(bundle: Path) -> None:
    manifest = Manifest.model_validate_json((bundle / MANIFEST).read_bytes())
    assert manifest.spec == spec()
    assert manifest.data == DATA
    assert set(manifest.libraries) == {"numpy", "pydantic", "python", "safetensors", "torch"}
    assert manifest.parameters == sum(p.numel() for p in new_forecaster(spec(), 0).parameters())
    assert len(manifest.golden.y) == 24 + 128


def test_the_memory_comes_back_and_a_bundle_without_one_is_read(bundle: Path) -> None:
    assert read_bundle(bundle)[1].memory == MEMORY
    older = json.loads((bundle / MANIFEST).read_bytes())
    del older["memory"]
    spec_digest = sha256(strict_json.canonical(older["spec"])).hexdigest()
    forecaster, _ = read_bundle(bundle)
    (bundle / WEIGHTS).write_bytes(weights.pack(forecaster.state_dict(), spec_digest))
    reseal(bundle, older)
    assert read_bundle(bundle)[1].memory is None


def test_a_version_from_before_some_fields_of_a_spec_forecasts_as_it_did(bundle: Path) -> None:
    was, _ = read_bundle(bundle)
    older = json.loads((bundle / MANIFEST).read_bytes())
    del older["spec"]["fills_gaps"], older["spec"]["gated"], older["spec"]["resolution"]
    spec_digest = sha256(strict_json.canonical(older["spec"])).hexdigest()
    (bundle / WEIGHTS).write_bytes(weights.pack(was.state_dict(), spec_digest))
    reseal(bundle, older)
    read, _ = read_bundle(bundle)
    assert not read.spec.fills_gaps
    assert not read.spec.gated
    assert not read.spec.resolution
    gaps = [context(spec(), 40)]
    np.testing.assert_array_equal(predict(read, gaps), predict(was, gaps))


def test_a_writer_that_is_killed_leaves_whole_bundles_only(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.models.bundles import spec, written\n"
        "for k in range(10**6):\n"
        "    written(Path(sys.argv[1]) / f'bundle-{k}', spec(), k)\n"
        "    print(k, flush=True)\n"
    )
    random = np.random.default_rng(0)
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        command = [sys.executable, "-c", script, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"0\n"
            time.sleep(random.uniform(0.0, 0.2))
            writer.kill()
        written_folders = list(folder.glob("bundle-*"))
        assert written_folders
        for path in written_folders:
            read_bundle(path)
