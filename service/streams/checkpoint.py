"""A stream's state as bytes, for the weights that made it and no others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from models.manifest import WEIGHTS
from models.spec import Spec
from models.state import State
from service.slots import Loaded
from service.streams.head import Head, Options
from store.checkpoints import Checkpoint


def weights_of(loaded: Loaded) -> str:
    """What a version's checkpoints are kept under: its weights' digest, which its spec is part of.

    Not its number: a registry that was made anew counts from 1 again.
    """
    return loaded.manifest.files[WEIGHTS].sha256


def pack(states: State) -> list[bytes]:
    """Each stream's state as it lies in memory, little-endian."""
    parts = (states.ring, states.memory.flatten(1), states.stat)
    columns = [part.numpy().astype(part.numpy().dtype.newbyteorder("<")) for part in parts]
    return [b"".join(column[row].tobytes() for column in columns) for row in range(len(states))]


def unpack(packed: Sequence[bytes], spec: Spec, slots: int) -> State:
    """The states of n packed ones. Raises ValueError where a length is not the spec's."""
    n = len(packed)
    memory = slots * spec.hidden_size
    sizes = (8 * spec.input_size, 4 * memory, 4 * len(spec.stat_exog))
    if any(len(each) != sum(sizes) for each in packed):
        raise ValueError("a checkpoint that does not fit its version")
    rows = np.frombuffer(bytearray().join(packed), np.uint8).reshape(n, sum(sizes))
    ring, hidden, stat = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    return State(
        torch.from_numpy(np.ascontiguousarray(ring).view("<f8").reshape(n, -1)),
        torch.from_numpy(np.ascontiguousarray(hidden).view("<f4").reshape(n, slots, -1)),
        torch.from_numpy(np.ascontiguousarray(stat).view("<f4").reshape(n, sizes[2] // 4)),
    )


def checkpoint_of(
    stream: int, loaded: Loaded, options: Options, head: Head, state: bytes
) -> Checkpoint:
    """The row for a state that stands at `head`, which is not the head of an empty stream."""
    if head.ds is None:
        raise ValueError("a stream without observations has nothing to keep")
    return Checkpoint(
        stream=stream,
        weights=weights_of(loaded),
        ds=head.ds,
        seq=head.seq,
        opened=options.opened,
        start=head.start,
        steps=head.steps,
        exact=head.exact,
        state=state,
    )
