"""The training loop: forking sequences, AdamW, one cycle of the learning rate, the best kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.context import Context
from models.forecaster import Forecaster
from models.state import State
from models.transform import to_network
from training.lanes import Chunk, Lanes
from training.loss import pinball, squared
from training.schedule import Schedule
from training.validation import Validation

_FARTHEST = 50.0
"""Window scales beyond which a target teaches no more: one spike must not drown the rest."""
_MOST_SKIPPED = 20
_SKIP_SHARE = 0.1
"""Of the learning rate, for a skip that is to stay near to where least squares has put it."""
_FUTR_SHARE = 5.0
"""The same for what covariates ahead add, which has few batches to come from nothing."""
_CLEARLY = 0.2
"""Over the root of the horizons that are held back of a series: the share of its loss by which a
look has to be better than a start at the map. Decision 37 has what smaller gains were worth."""


class FitError(Exception):
    """A fit that cannot go on; `reason` says what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One look at the validation windows, `step` batches in.

    Losses are mean pinball (or squared) losses: of training since the record before, in the scale
    of each window, None before the first batch; of validation, in that of each series' seasonal
    differences, NaN where there are no windows. seconds: since the fit began.
    """

    step: int
    train_loss: float | None
    valid_loss: float
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fit is, after a batch: its smoothed loss, and the newest record if there is one."""

    batch: int
    batches: int
    loss: float
    record: EpochRecord | None


class Trainer:
    """All that changes while a forecaster is fitted; `training.checkpoint` saves it."""

    def __init__(
        self,
        forecaster: Forecaster,
        schedule: Schedule,
        pasts: Sequence[Context],
        validation: Validation,
    ) -> None:
        self.forecaster = forecaster
        self.schedule = schedule
        self.validation = validation
        self.lanes = Lanes(forecaster.spec, pasts, validation.ends, schedule)
        self.optimizer = _optimizer(forecaster, schedule)
        self.quantiles = torch.tensor(forecaster.spec.quantiles)
        self.state = forecaster.initial_state(schedule.lanes)
        self.best = {name: value.clone() for name, value in forecaster.state_dict().items()}
        self.history: list[EpochRecord] = []
        self.batch = 0
        self.loss_sum = 0.0
        self.loss_count = 0
        self.smooth = 0.0
        self.margin = _margin(validation, pasts, schedule, forecaster.spec.horizon)
        self.whole = True
        """False inside a batch: what an interrupt leaves then is neither before it nor after."""

    @property
    def finished(self) -> bool:
        """Whether all batches are done, or validation has not improved for too long."""
        if self.batch >= self.schedule.batches:
            return True
        if not self.history:
            return False
        return len(self.history) - 1 - self._best_look >= self.schedule.patience

    @property
    def best_step(self) -> int:
        """Batches before the best look; 0 where none was better than the start, or clearly."""
        return self.history[self._best_look].step

    @property
    def _best_look(self) -> int:
        """Its place in the history."""
        if not self.validation.contexts:  # unseen, the newest is best
            return len(self.history) - 1
        losses = [self._judged(record) for record in self.history]
        return losses.index(min(losses))

    def _judged(self, record: EpochRecord) -> float:
        """Its validation loss; of the start, what others have to do better than."""
        return record.valid_loss * (1.0 if record.step else 1.0 - self.margin)

    def advance(self, spent: float) -> Progress:
        """One batch, and a look at the validation windows if one is due; spent: seconds so far."""
        self.whole = False
        self.forecaster.train()
        for _ in range(_MOST_SKIPPED):
            loss = self._step(self.lanes.next())
            if loss is not None:
                break
        else:
            raise FitError(
                f"the loss stayed infinite for {_MOST_SKIPPED} batches: "
                "look for extreme values in the data, or lower the learning rate"
            )
        self.batch += 1
        self.loss_sum += loss
        self.loss_count += 1
        self.smooth = loss if self.batch == 1 else 0.98 * self.smooth + 0.02 * loss
        record = self._look(spent) if self.schedule.evaluates(self.batch) else None
        self.whole = True
        return Progress(self.batch, self.schedule.batches, self.smooth, record)

    def look_first(self) -> None:
        """Look at the validation windows before the first batch: a good start may be the best."""
        self._look(0.0)

    def take_best(self) -> None:
        """Put the weights of the best validation in place."""
        self.forecaster.load_state_dict(self.best)
        self.forecaster.eval()

    def _step(self, chunk: Chunk) -> float | None:
        """Learn from a chunk and give its loss; None, and nothing learnt, where none is finite."""
        fresh = self.forecaster.initial_state(len(chunk.young), chunk.stat)
        young = chunk.young[:, None]
        before = State(
            torch.where(young, fresh.ring, self.state.ring),
            torch.where(young[..., None], fresh.memory, self.state.memory),
            chunk.stat,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self.schedule.rate(self.batch)
        self.optimizer.zero_grad()
        loss, self.state = self._loss(before, chunk)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        norm = torch.nn.utils.clip_grad_norm_(self.forecaster.parameters(), self.schedule.clip)
        # a pinball's slope is finite whatever its value is, so the norm alone does not tell
        if not (torch.isfinite(norm) and torch.isfinite(loss)):
            self.state = before
            return None
        self.optimizer.step()
        return float(loss.detach())

    def _loss(self, before: State, chunk: Chunk) -> tuple[Tensor, State]:
        spec = self.forecaster.spec
        unrolled = self.forecaster.unroll(before, chunk.steps, chunk.futr, chunk.at)
        x = to_network(chunk.target, spec)  # (lanes, K, horizon)
        z = ((x - unrolled.loc[..., None]) / unrolled.scale[..., None]).float()
        weight = z.isfinite().float()
        weight = weight / weight.sum().clamp_min(1.0)
        z = z.nan_to_num(0.0).clamp(-_FARTHEST, _FARTHEST)
        if spec.quantiles:
            loss = pinball(unrolled.z, z, self.quantiles, weight) / len(spec.quantiles)
        else:
            loss = squared(unrolled.z, z, weight)
        return loss, unrolled.state.detach()

    def _look(self, spent: float) -> EpochRecord:
        self.forecaster.eval()
        record = EpochRecord(
            step=self.batch,
            train_loss=self.loss_sum / self.loss_count if self.loss_count else None,
            valid_loss=self.validation.loss(self.forecaster),
            lr=self.schedule.rate(max(0, self.batch - 1)),
            seconds=spent,
        )
        least = min(map(self._judged, self.history), default=float("inf"))
        # unseen, the newest is best
        if self._judged(record) < least or not self.validation.contexts:
            self.best = {k: v.clone() for k, v in self.forecaster.state_dict().items()}
        self.history.append(record)
        self.loss_sum, self.loss_count = 0.0, 0
        return record


def _margin(
    validation: Validation, pasts: Sequence[Context], schedule: Schedule, horizon: int
) -> float:
    """How much better than the start a look has to be, as a share of its loss.

    The fewer horizons lie side by side in what is held back, the more a loss is chance.
    """
    if schedule.start != "linear":
        return 0.0
    held = [past.y.shape[0] - end for past, end in zip(pasts, validation.ends, strict=True)]
    return float(_CLEARLY / max(1.0, np.median(held) / horizon) ** 0.5)


def _optimizer(forecaster: Forecaster, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW; a skip that stays near to its start learns slower, and does not decay to zero.

    Covariates ahead, which begin at nothing beside a linear map, learn faster.
    """
    shares: dict[float, list[torch.nn.Parameter]] = {1.0: [], _SKIP_SHARE: [], _FUTR_SHARE: []}
    for name, weights in forecaster.named_parameters():
        share = 1.0
        if schedule.start != "naive" and forecaster.head.skip is not None:
            share = _FUTR_SHARE if name.startswith("head.futr_") else share
            if schedule.start == "near" and name == "head.skip.weight":
                share = _SKIP_SHARE
        shares[share].append(weights)
    groups = [
        {
            "params": weights,
            "share": share,
            "weight_decay": 0.0 if share == _SKIP_SHARE else schedule.weight_decay,
        }
        for share, weights in shares.items()
        if weights
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)
