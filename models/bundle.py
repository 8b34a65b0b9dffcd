"""The bundle: a forecaster on disk, in three files, of which nothing is ever executed.

    manifest.json         what it is (`models.manifest`)
    manifest.sha256       the manifest's digest, as `sha256sum -c` reads it
    weights.safetensors   its tensors, whose digest the manifest holds

The digests are there against damage and mix-ups. Whoever can write the folder can write fitting
digests too: a signature would sign the bytes of `manifest.sha256`, through which it covers all.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pydantic
import safetensors
import torch

from . import strict_json, weights
from .context import Context
from .forecaster import Forecaster, parameter_count
from .manifest import (
    WEIGHTS,
    DataFacts,
    FileFacts,
    Golden,
    Manifest,
    Memory,
    Scores,
    golden_context,
)
from .predict import predict

MANIFEST = "manifest.json"
DIGEST = "manifest.sha256"
MAX_MANIFEST_BYTES = 16 * 2**20
MAX_BUNDLE_BYTES = 512 * 2**20

# Float32 forecasts of one forecaster on two processors differ by rounding: 1e-4 of the value, and,
# for values near zero, 1e-6 of the largest beside them.
_GOLDEN_RTOL = 1e-4
_GOLDEN_ATOL = 1e-6


class BundleError(Exception):
    """What reading or writing a bundle raises; `reason` names the file and the fault."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def write_bundle(
    folder: Path,
    forecaster: Forecaster,
    *,
    data: DataFacts,
    golden: Context,
    scores: Scores | None,
    seed: int,
    memory: Memory | None = None,
    created: datetime | None = None,
) -> Manifest:
    """Write `forecaster` as a new folder, whole or not at all.

    golden: a context whose newest steps become the golden input; the golden output is computed.
    created: an aware time, now if not given. The folder is made under a hidden name beside its
    place, read back, synced and renamed. Raises BundleError if the folder exists or what was
    written does not read back.
    """
    spec = forecaster.spec
    context = golden_context(golden, spec)
    outputs = predict(forecaster, [context])[0]  # (horizon, outputs)
    if not np.isfinite(outputs).all():
        raise BundleError(f"{MANIFEST}: the golden context gives forecasts that are not finite")
    packed = weights.pack(forecaster.state_dict(), _spec_digest(spec.model_dump(mode="json")))
    manifest = Manifest(
        format=1,
        created=(created or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        spec=spec,
        parameters=parameter_count(forecaster),
        seed=seed,
        data=data,
        scores=scores,
        libraries=_libraries(),
        files={WEIGHTS: FileFacts(sha256=sha256(packed).hexdigest(), bytes=len(packed))},
        golden=Golden.of(context, outputs),
        memory=memory,
        warming=forecaster.warming,
    )
    text = manifest.model_dump_json(indent=1).encode("utf-8") + b"\n"
    _write_folder(folder, {MANIFEST: text, DIGEST: _digest_line(text), WEIGHTS: packed})
    return manifest


def read_bundle(folder: Path, *, max_bytes: int = MAX_BUNDLE_BYTES) -> tuple[Forecaster, Manifest]:
    """The forecaster in `folder`, ready to forecast, and its manifest.

    Every file is read once, no more than `max_bytes` of all together; what is checked is what was
    read. Raises BundleError, and nothing else, if the folder is not exactly a bundle that makes its
    golden forecast.
    """
    try:
        return _read(Path(folder), max_bytes)
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(f"{folder}: {type(error).__name__}: {_short(error)}") from error


def _read(folder: Path, max_bytes: int) -> tuple[Forecaster, Manifest]:
    files = _contents(folder, max_bytes)
    if files[DIGEST] != _digest_line(files[MANIFEST]):
        raise BundleError(f"{MANIFEST}: altered, it is not what {DIGEST} was taken of")
    manifest, spec_digest = _manifest(files[MANIFEST])
    facts, packed = manifest.files[WEIGHTS], files[WEIGHTS]
    if facts.bytes != len(packed):
        raise BundleError(f"{WEIGHTS}: {len(packed)} bytes, not {facts.bytes}")
    if facts.sha256 != sha256(packed).hexdigest():
        raise BundleError(f"{WEIGHTS}: altered, it does not have the manifest's SHA-256")
    with torch.device("meta"):  # shapes without storage: a giant spec costs nothing here
        forecaster = Forecaster(manifest.spec)
    try:
        tensors = weights.unpack(packed, forecaster.state_dict(), spec_digest)
    except ValueError as error:
        raise BundleError(f"{WEIGHTS}: {error}") from error
    # every tensor comes from the file: nothing is initialised and no random number is drawn
    forecaster.to_empty(device="cpu").load_state_dict(tensors, strict=True)
    forecaster.warm(manifest.warming).eval()
    if parameter_count(forecaster) != manifest.parameters:
        raise BundleError(f"{MANIFEST}: not the number of parameters in {WEIGHTS}")
    _check_golden(forecaster, manifest.golden)
    return forecaster, manifest


def _manifest(text: bytes) -> tuple[Manifest, str]:
    """The manifest and the digest of its spec as written, whatever fields later specs may have."""
    try:
        raw = strict_json.parse(text, max_bytes=MAX_MANIFEST_BYTES)
        manifest = Manifest.model_validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise BundleError(f"{MANIFEST}: {place[:200]}: {first['msg'][:200]}") from error
    except ValueError as error:
        raise BundleError(f"{MANIFEST}: {_short(error)}") from error
    return manifest, _spec_digest(raw["spec"])


def _check_golden(forecaster: Forecaster, golden: Golden) -> None:
    expected = np.array(golden.outputs, dtype=np.float64)  # (horizon, outputs)
    found = predict(forecaster, [golden.context(forecaster.spec)])[0]
    atol = _GOLDEN_ATOL * float(np.abs(expected).max())
    if not np.allclose(found, expected, rtol=_GOLDEN_RTOL, atol=atol):
        raise BundleError(f"{WEIGHTS}: the golden forecast of {MANIFEST} does not come out")


def _contents(folder: Path, max_bytes: int) -> dict[str, bytes]:
    """The bytes of every file, the folder held open so that it cannot be exchanged meanwhile."""
    limits = {MANIFEST: MAX_MANIFEST_BYTES, DIGEST: 256, WEIGHTS: max_bytes}
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name not in limits:
                    raise BundleError(f"{entry.name[:200]!r}: a file that no bundle has")
        files: dict[str, bytes] = {}
        left = max_bytes
        for name, limit in limits.items():
            files[name] = _file(directory, name, min(limit, left))
            left -= len(files[name])
        return files
    finally:
        os.close(directory)


def _file(directory: int, name: str, limit: int) -> bytes:
    # O_NOFOLLOW: no symlink leads out; O_NONBLOCK: a pipe in a file's place does not hang
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except FileNotFoundError as error:
        raise BundleError(f"{name}: missing") from error
    except OSError as error:
        raise BundleError(f"{name}: cannot be read as a file: {error.strerror}") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise BundleError(f"{name}: not a regular file")
        if facts.st_size > limit:
            raise BundleError(f"{name}: {facts.st_size} bytes, more than the {limit} allowed")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(facts.st_size + 1)
    finally:
        os.close(descriptor)
    if len(content) != facts.st_size:
        raise BundleError(f"{name}: changed while it was read")
    return content


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    if os.path.lexists(folder):
        raise BundleError(f"{folder}: exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        for name, content in files.items():
            with (draft / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        draft.chmod(0o755)
        _sync_folder(draft)
        read_bundle(draft, max_bytes=sum(map(len, files.values())))
        draft.rename(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest_line(text: bytes) -> bytes:
    return f"{sha256(text).hexdigest()}  {MANIFEST}\n".encode("ascii")


def _spec_digest(spec: object) -> str:
    return sha256(strict_json.canonical(spec)).hexdigest()


def _libraries() -> dict[str, str]:
    return {
        "numpy": np.__version__,
        "pydantic": pydantic.VERSION,
        "python": platform.python_version(),
        "safetensors": safetensors.__version__,
        "torch": torch.__version__,
    }


def _short(error: Exception) -> str:
    return str(error)[:300]
