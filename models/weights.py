"""The tensors of a forecaster as one safetensors file, bound to the spec they were fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from . import strict_json

MAX_HEADER_BYTES = 1 << 20
_SPEC = "gatecast.spec"
_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.bool: "BOOL"}


def pack(tensors: Mapping[str, Tensor], spec_digest: str) -> bytes:
    """The bytes of a safetensors file; its metadata names the spec, so that neither goes alone."""
    dense = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(dense, metadata={_SPEC: spec_digest})


def unpack(data: bytes, expected: Mapping[str, Tensor], spec_digest: str) -> dict[str, Tensor]:
    """The tensors in `data`, which must have the names, shapes and dtypes of `expected`, be finite,
    and have been packed for the same spec.

    `expected` may lie on torch's meta device: the header is held against it before a tensor is
    made, so nothing larger than `data` is ever allocated. Raises ValueError with the reason.
    """
    header, size = _header(data)
    if header.pop("__metadata__", None) != {_SPEC: spec_digest}:
        raise ValueError("the weights were fitted to another spec")
    _check_names(header.keys(), expected.keys())
    ranges = [_byte_range(name, header[name], tensor) for name, tensor in expected.items()]
    end = 0
    for begin, next_end in sorted(ranges):
        if begin != end:
            raise ValueError(f"tensors overlap or leave a hole at byte {end}")
        end = next_end
    if end != size:
        raise ValueError(f"tensors end at byte {end} of {size}")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ValueError(f"not a safetensors file: {error}") from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"tensor {name} has values that are not finite")
    return tensors


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The parsed header and the number of bytes after it."""
    if len(data) < 8:
        raise ValueError(f"{len(data)} bytes are too few for a safetensors header")
    length = int.from_bytes(data[:8], "little")
    if length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError(f"not a safetensors file: header of {length} bytes")
    header = strict_json.parse(data[8 : 8 + length], max_bytes=MAX_HEADER_BYTES, max_depth=4)
    if not isinstance(header, dict):
        raise ValueError("not a safetensors file: the header is no object")
    return header, len(data) - 8 - length


def _check_names(found: Any, expected: Any) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing:
        raise ValueError(f"tensor {missing[0]} is missing")
    if extra:
        raise ValueError(f"tensor {extra[0][:80]!r} is none of this forecaster's")


def _byte_range(name: str, entry: Any, expected: Tensor) -> tuple[int, int]:
    dtype, shape = _DTYPES[expected.dtype], list(expected.shape)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {name} is described wrongly")
    if entry["dtype"] != dtype:
        raise ValueError(f"tensor {name} is {str(entry['dtype'])[:16]}, not {dtype}")
    if entry["shape"] != shape:
        raise ValueError(f"tensor {name} has shape {str(entry['shape'])[:80]}, not {shape}")
    match entry["data_offsets"]:
        case [int(begin), int(end)] if end - begin == prod(shape) * expected.element_size():
            return begin, end
        case offsets:
            raise ValueError(f"tensor {name} lies at {str(offsets)[:80]}, not its size")
