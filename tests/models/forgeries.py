"""Bundles with another content whose every digest was made to fit, by name."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load, save

from models.bundle import MANIFEST
from models.manifest import WEIGHTS
from models.strict_json import canonical
from tests.models.bundles import reseal, seal, spec, written
from tests.models.damage import Corruption


def forgeries() -> Iterator[tuple[str, Corruption]]:
    """Each takes a folder and a seeded generator."""
    yield from _texts()
    yield from _fields()
    yield from _tensors()
    yield from _disguises()


def _texts() -> Iterator[tuple[str, Corruption]]:
    """Manifests that no honest writer spells, under digests that fit."""

    def spelled(change: Callable[[str], str | bytes]) -> Corruption:
        def corrupt(folder: Path, random: np.random.Generator) -> None:
            text = change((folder / MANIFEST).read_text())
            seal(folder, text.encode() if isinstance(text, str) else text)

        return corrupt

    yield "deep-json", spelled(lambda text: text.replace('"seed": 0', '"seed": ' + "[" * 100_000))
    yield "deep-closed", spelled(lambda text: "[" * 50_000 + "]" * 50_000)
    yield "deep-objects", spelled(lambda text: '{"a":' * 100 + "1" + "}" * 100)
    yield "many-objects", spelled(lambda text: "[" + "{}," * 300_000 + "{}]")
    yield "huge-json", spelled(lambda text: text + " " * (17 * 2**20))
    yield "key-twice", spelled(lambda text: text.replace('"seed": 0', '"seed": 0, "seed": 0'))
    yield "deep-key-twice", spelled(lambda text: text.replace('"cell"', '"cell": "gru", "cell"'))
    yield "not-a-number", spelled(lambda text: text.replace('"overall": 0.8', '"overall": NaN'))
    yield "infinity", spelled(lambda text: text.replace('"overall": 0.8', '"overall": Infinity'))
    yield "overflow", spelled(lambda text: text.replace('"overall": 0.8', '"overall": 1e999'))
    yield "long-integer", spelled(lambda text: text.replace('"seed": 0', '"seed": ' + "9" * 9999))
    yield "surrogate", spelled(lambda text: text.replace("loads.csv", "\\ud800"))
    yield "byte-order-mark", spelled(lambda text: b"\xef\xbb\xbf" + text.encode())
    yield "not-utf-8", spelled(lambda text: text.encode().replace(b"loads", b"l\xffads"))
    yield "comment", spelled(lambda text: "// a comment\n" + text)
    yield "two-values", spelled(lambda text: text + "{}")
    for value in (b"null", b"[]", b'"text"', b"1", b"true", b"{}"):
        yield f"only-{value.decode()}", _spelled_as(value)


def _spelled_as(text: bytes) -> Corruption:
    return lambda folder, random: seal(folder, text)


def _fields() -> Iterator[tuple[str, Corruption]]:
    """Manifests with another content, every digest made to fit."""

    def changed(*path: str, to: Any) -> Corruption:
        def corrupt(folder: Path, random: np.random.Generator) -> None:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            place = manifest
            for part in path[:-1]:
                place = place[int(part)] if isinstance(place, list) else place[part]
            place[int(path[-1]) if isinstance(place, list) else path[-1]] = to
            text = json.dumps(manifest).encode()
            seal(folder, text)

        return corrupt

    for path in ("../weights.safetensors", "/etc/passwd", "a/../../b", "..", "\x00", "weights.bin"):
        facts = {"sha256": "0" * 64, "bytes": 1}
        yield f"climbs-{path!r}", changed("files", path, to=facts)
    yield "files-empty", changed("files", to={})
    yield "files-size", changed("files", WEIGHTS, "bytes", to=17)
    yield "files-negative", changed("files", WEIGHTS, "bytes", to=-1)
    yield "files-digest", changed("files", WEIGHTS, "sha256", to="0" * 64)
    yield "files-capitals", changed("files", WEIGHTS, "sha256", to="A" * 64)
    for place in ((), ("spec",), ("spec", "timeline"), ("data",), ("scores",), ("golden",)):
        yield "unknown-" + ".".join(place), changed(*place, "surprise", to=1)
    yield "format-2", changed("format", to=2)
    yield "format-true", changed("format", to=True)
    yield "created", changed("created", to="yesterday")
    yield "seed", changed("seed", to=-1)
    warming: dict[str, Any] = {
        "full": 8,
        "floor": 1.0,
        "ages": [1],
        "steps": [1],
        "offsets": [[[-1.0, 0.0, 1.0]]],
    }
    for part, wrong in (
        ("full", 25),
        ("full", 8.0),
        ("full", "8"),
        ("floor", 0.0),
        ("ages", [8]),
        ("steps", [7]),
        ("offsets", [[[-1.0, 1.0]]]),
        ("offsets", [[[1.0, 0.0, -1.0]]]),
        ("offsets", [[[-1.0, 0.0, 1e300]]]),
        ("surprise", 1),
    ):
        yield f"warming-{part}-{wrong}", changed("warming", to=warming | {part: wrong})
    yield "warming-empty", changed("warming", to={})
    yield "parameters", changed("parameters", to=1)
    yield "scores-text", changed("scores", "forecaster", "metrics", "mase", "overall", to="0.8")
    for field, value in (
        ("cell", "gru"),
        ("cell", "transformer"),
        ("horizon", 5),
        ("horizon", 4096),
        ("horizon", 10**9),
        ("hidden_size", 4096),
        ("hidden_size", 7),
        ("layers", 8),
        ("input_size", 8192),
        ("input_size", 25),
        ("lags", 23),
        ("quantiles", [0.2, 0.5, 0.8]),
        ("quantiles", [0.1, 0.5, 0.900001]),
        ("quantiles", [0.1, 0.5]),
        ("quantiles", [0.9, 0.5, 0.1]),
        ("quantiles", []),
        ("season", [12]),
        ("season", []),
        ("skip", False),
        ("gated", 7),
        ("sees_gaps", False),
        ("fills_gaps", True),
        ("transform", "log"),
        ("nonnegative", True),
        ("resolution", 50.0),
        ("resolution", -1.0),
        ("log_floor", 2.0),
        ("calendar", ["day_of_week"]),
        ("calendar", []),
        ("hist_exog", ["humidity"]),
        ("futr_exog", ["temperature"]),
        ("stat_exog", []),
    ):
        yield f"spec-{field}-{value}", changed("spec", field, to=value)
    yield "spec-timeline-freq", changed("spec", "timeline", "freq", to="D")
    yield "spec-timezone", changed("spec", "timeline", "timezone", to="Europe/Berlin")
    yield "spec-timezone-climbs", changed("spec", "timeline", "timezone", to="../../etc/passwd")
    yield "golden-output", changed("golden", "outputs", "0", "0", to=-1e6)
    yield "golden-output-none", changed("golden", "outputs", "0", "0", to=None)
    yield "golden-outputs", changed("golden", "outputs", to=[])
    yield "golden-y", changed("golden", "y", "-1", to=1e6)
    yield "golden-y-short", changed("golden", "y", to=[1.0])
    yield "golden-y-unobserved", changed("golden", "y", to=[None] * 152)
    yield "golden-exog", changed("golden", "exog", "0", to=[])
    yield "golden-futr", changed("golden", "futr", to=[[0.0]] * 7)
    yield "golden-stat", changed("golden", "stat", to=[1e30])


Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors, np.random.Generator], None]


def _tensors() -> Iterator[tuple[str, Corruption]]:
    """Weights with another content, every digest made to fit."""
    for k in range(6):
        yield f"nan-{k}", _retensored(_poisoned(float("nan")))
        yield f"inf-{k}", _retensored(_poisoned(float("inf") if k % 2 else float("-inf")))
        yield f"scaled-{k}", _retensored(_scaled)
        yield f"transposed-{k}", _retensored(_transposed)
        yield f"grown-{k}", _retensored(_grown)
        yield f"missing-tensor-{k}", _retensored(_thinned)
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8):
        yield f"dtype-{dtype}", _retensored(_cast(dtype))
    yield "flattened", _retensored(lambda t, _: t.update(a=t.pop("head.state.weight").view(-1)))
    yield "extra-tensor", _retensored(lambda t, _: t.update(extra=torch.zeros(3)))
    yield "no-tensors", _retensored(lambda t, _: t.clear())
    yield "renamed", _retensored(lambda t, _: t.update(other=t.pop("head.state.bias")))
    yield "swapped-weights", _swapped(rebind=False, reseal_folder=False)
    yield "swapped-weights-resealed", _swapped(rebind=True, reseal_folder=True)
    for cell in ("gru", "elman"):
        yield f"swapped-{cell}", _swapped(rebind=False, reseal_folder=True, cell=cell)
        yield f"swapped-{cell}-rebound", _swapped(rebind=True, reseal_folder=True, cell=cell)


def _retensored(change: Change) -> Corruption:
    def corrupt(folder: Path, random: np.random.Generator) -> None:
        with safe_open(folder / WEIGHTS, "pt") as file:
            metadata = file.metadata()
        tensors = load((folder / WEIGHTS).read_bytes())
        change(tensors, random)
        (folder / WEIGHTS).write_bytes(save(tensors, metadata))
        reseal(folder)

    return corrupt


def _any(tensors: Tensors, random: np.random.Generator, *, dims: int = 1) -> str:
    names = sorted(name for name, tensor in tensors.items() if tensor.dim() >= dims)
    return names[random.integers(len(names))]


def _poisoned(value: float) -> Change:
    def change(tensors: Tensors, random: np.random.Generator) -> None:
        flat = tensors[_any(tensors, random)].view(-1)
        flat[int(random.integers(len(flat)))] = value

    return change


def _scaled(tensors: Tensors, random: np.random.Generator) -> None:
    tensors[_any(tensors, random, dims=2)] *= 1.5


def _transposed(tensors: Tensors, random: np.random.Generator) -> None:
    name = _any({k: t for k, t in tensors.items() if len(set(t.shape)) == 2}, random)
    tensors[name] = tensors[name].T.contiguous()


def _grown(tensors: Tensors, random: np.random.Generator) -> None:
    name = _any(tensors, random)
    tensors[name] = torch.cat([tensors[name], tensors[name]])


def _thinned(tensors: Tensors, random: np.random.Generator) -> None:
    del tensors[_any(tensors, random)]


def _cast(dtype: torch.dtype) -> Change:
    def change(tensors: Tensors, random: np.random.Generator) -> None:
        name = _any(tensors, random)
        tensors[name] = tensors[name].to(dtype)

    return change


def _swapped(*, rebind: bool, reseal_folder: bool, **changes: Any) -> Corruption:
    """The weights of another bundle; rebound, they claim this bundle's spec."""

    def corrupt(folder: Path, random: np.random.Generator) -> None:
        written(folder.parent / "other", spec(**changes), seed=1)
        weights = (folder.parent / "other" / WEIGHTS).read_bytes()
        if rebind:
            mine = json.loads((folder / MANIFEST).read_bytes())["spec"]
            digest = sha256(canonical(mine)).hexdigest()
            weights = save(load(weights), {"gatecast.spec": digest})
        (folder / WEIGHTS).write_bytes(weights)
        if reseal_folder:
            reseal(folder)

    return corrupt


def _disguises() -> Iterator[tuple[str, Corruption]]:
    """Something else in safetensors' clothing, every digest made to fit."""

    def dressed(change: Callable[[bytes], bytes]) -> Corruption:
        def corrupt(folder: Path, random: np.random.Generator) -> None:
            (folder / WEIGHTS).write_bytes(change((folder / WEIGHTS).read_bytes()))
            reseal(folder)

        return corrupt

    def header(change: Callable[[dict[str, Any]], Any]) -> Corruption:
        def rewrite(content: bytes) -> bytes:
            length = int.from_bytes(content[:8], "little")
            values = json.loads(content[8 : 8 + length])
            text = json.dumps(change(values) or values).encode()
            return len(text).to_bytes(8, "little") + text + content[8 + length :]

        return dressed(rewrite)

    def entry(**values: Any) -> Corruption:
        return header(lambda tensors: tensors["head.state.bias"].update(values))

    # protocol 2: import os, call os.system("echo opened"), stop
    pickled = b"\x80\x02cos\nsystem\nX\x0b\x00\x00\x00echo opened\x85R."
    yield "pickle", dressed(lambda content: pickled)
    yield "pickle-padded", dressed(lambda content: pickled + content[len(pickled) :])
    yield "pickle-after", dressed(lambda content: content + pickled)
    yield "zip", dressed(lambda content: _zipped("archive/data.pkl", pickled))
    yield "zip-after", dressed(lambda content: content + _zipped("data.pkl", pickled))
    for length in (0, 1, 2**20 + 1, 2**31, 2**63, 2**64 - 1):
        yield f"header-length-{length}", dressed(_longer(length))
    yield "short", dressed(lambda content: content[:7])
    yield "only-length", dressed(lambda content: content[:8])
    yield "no-metadata", header(lambda tensors: tensors.pop("__metadata__") and None)
    yield "metadata", header(lambda tensors: tensors["__metadata__"].update(more="x"))
    yield "header-list", header(lambda tensors: [tensors])
    yield "header-deep", dressed(lambda content: _headed(b'{"a":' * 9 + b"1" + b"}" * 9))
    yield "header-twice", dressed(lambda content: _headed(b'{"a": 1, "a": 2}'))
    yield "header-spaces", dressed(lambda content: _headed(b" " * 99))
    yield "offsets-overlap", entry(data_offsets=[0, 72])
    yield "offsets-negative", entry(data_offsets=[-72, 0])
    yield "offsets-huge", entry(data_offsets=[2**62, 2**62 + 72])
    yield "offsets-text", entry(data_offsets=["0", "72"])
    yield "offsets-true", entry(data_offsets=[False, True])
    yield "shape-huge", entry(shape=[2**40, 2**40])
    yield "shape-negative", entry(shape=[-18])
    yield "shape-text", entry(shape="18")
    yield "dtype-unknown", entry(dtype="F7")
    yield "dtype-list", entry(dtype=["F32"])
    yield "entry-extra", entry(strides=[1])


def _longer(length: int) -> Callable[[bytes], bytes]:
    return lambda content: length.to_bytes(8, "little") + content[8:]


def _headed(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


def _zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()
