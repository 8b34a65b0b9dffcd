"""A fit on disk, from which a killed one goes on as if it had not been; nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.state import State
from training.loop import EpochRecord, Trainer

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class CheckpointError(Exception):
    """A checkpoint that this fit cannot go on from; `reason` says why and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def fingerprint(trainer: Trainer) -> str:
    """SHA-256 of what decides a fit: spec, schedule, the data learnt from and validated on."""
    sha = hashlib.sha256(trainer.forecaster.spec.model_dump_json().encode())
    sha.update(trainer.schedule.model_dump_json().encode())
    for tensor in (trainer.lanes.y, trainer.lanes.exog, trainer.lanes.stat):
        sha.update(tensor.numpy().tobytes())
    held = trainer.validation
    sha.update(held.ends.tobytes() + held.truth.tobytes() + held.scale.tobytes())
    for past in held.contexts:
        sha.update(past.y.tobytes() + past.exog.tobytes() + past.futr.tobytes())
    return sha.hexdigest()


def save(path: Path, trainer: Trainer, spent: tuple[float, float]) -> None:
    """Write all of the trainer's state to `path`, whole or not at all.

    spent: wall and processor seconds of the fit so far.
    """
    tensors: dict[str, Tensor] = {
        "state.ring": trainer.state.ring,
        "state.memory": trainer.state.memory,
        "state.stat": trainer.state.stat,
    }
    tensors |= {f"now.{k}": v for k, v in trainer.forecaster.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in trainer.best.items()}
    for index, moments in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": moments[name] for name in _MOMENTS}
    facts = {
        "fingerprint": fingerprint(trainer),
        "batch": trainer.batch,
        "loss": [trainer.loss_sum, trainer.loss_count, trainer.smooth],
        "history": [asdict(record) for record in trainer.history],
        "lanes": trainer.lanes.snapshot(),
        "spent": spent,
        "digest": _digest(tensors),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    whole = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(whole, unfinished, {"facts": json.dumps(facts)})
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def restore(path: Path, trainer: Trainer) -> tuple[float, float]:
    """Put what `save` wrote into a fresh trainer of the same fit; gives the seconds spent before.

    Raises CheckpointError for a damaged file and for one of another fit.
    """
    facts, tensors = _read(path)
    if facts["fingerprint"] != fingerprint(trainer):
        raise CheckpointError(
            f"{path} belongs to a fit of other data or settings: "
            "give the same ones, or fit without --resume"
        )
    try:
        _put(trainer, facts, tensors)
        wall, cpu = facts["spent"]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} was written by another version of gatecast ({error}): fit without --resume"
        ) from error
    return wall, cpu


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        if facts["digest"] != _digest(tensors):
            raise ValueError("its numbers are not those that were written")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({error}): fit without --resume") from error
    return facts, tensors


def _put(trainer: Trainer, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    trainer.forecaster.load_state_dict(part("now."))
    trainer.best = part("best.")
    trainer.state = State(tensors["state.ring"], tensors["state.memory"], tensors["state.stat"])
    optimizer = trainer.optimizer.state_dict()
    optimizer["state"] = {
        index: {name: tensors[f"optimizer.{index}.{name}"] for name in _MOMENTS}
        for index in range(len(list(trainer.forecaster.parameters())))
        if f"optimizer.{index}.step" in tensors
    }
    trainer.optimizer.load_state_dict(optimizer)
    trainer.batch = facts["batch"]
    trainer.loss_sum, trainer.loss_count, trainer.smooth = facts["loss"]
    trainer.history = [EpochRecord(**record) for record in facts["history"]]
    trainer.lanes.restore(facts["lanes"])


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names and numbers: the format of the file has no check of its own."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].contiguous().numpy().tobytes())
    return sha.hexdigest()
