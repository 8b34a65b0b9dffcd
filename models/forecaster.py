"""The forecaster: a state-space machine with three faces that agree.

    state = forecaster.initial_state(n)            n young streams
    state = forecaster.advance(state, y, exog)     one observation each, O(1) in their history
    state = forecaster.replay(state, steps)        many observations each, by the fused kernel
    values = forecaster.forecast(state, futr)      a pure read
    outputs = forecaster.unroll(state, steps)      a forecast at every step: what training reads

`unroll` at its last step, `replay` then `forecast`, and `advance` step by step then `forecast` are
the same numbers (1e-5 relative in float32), whatever the cell, length, gaps and covariates. Only
what is added to forecasts from young windows (`models.warming`) is not in `unroll`.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from .encoder import Encoder, Window
from .head import Head
from .recurrent import equation_parameters, recurrent
from .spec import Spec
from .state import State, Steps
from .transform import to_forecast, to_network
from .warming import Warming
from .widening import Widening

# Steps unrolled at a time in `replay`: enough to keep the kernel busy, few enough that the windows
# of a batch stay near the processor's cache.
_REPLAY_STEPS = 128


class Unrolled(NamedTuple):
    """A forecast at every origin asked for, in the scale of that origin's window.

    z: (n, K, horizon, outputs) float32; loc and scale: (n, K) float64, loc NaN where the
    window is empty; state: after the last step.
    """

    z: Tensor
    loc: Tensor
    scale: Tensor
    state: State


class Forecaster(nn.Module):
    """A recurrent forecaster as its spec says.

    It holds weights only: states and statistics are passed, so one serves any number of threads.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.recurrent = recurrent(spec, self.encoder.inputs)
        self.head = Head(spec)
        self.widening: Widening | None = None

    def warm(self, warming: Warming | None) -> Self:
        """Widen what young windows forecast from now on as `warming` says; None, not at all.

        What `unroll` gives, and training learns from, stays the network's own.
        """
        self.widening = None if warming is None else Widening(warming, self.spec)
        return self

    @property
    def warming(self) -> Warming | None:
        """What young windows are widened by."""
        return None if self.widening is None else self.widening.warming

    def initial_state(self, n: int, stat: Tensor | None = None) -> State:
        """The states of n streams that have seen nothing; stat (n, n_stat), NaN where not given."""
        weight = self.head.state.weight
        return State(
            torch.full(
                (n, self.spec.input_size), torch.nan, dtype=torch.float64, device=weight.device
            ),
            weight.new_zeros(n, self.recurrent.slots, self.spec.hidden_size),
            weight.new_full((n, len(self.spec.stat_exog)), torch.nan) if stat is None else stat,
        )

    def advance(self, state: State, y: Tensor, exog: Tensor | None = None) -> State:
        """One step: y (n,) float64, NaN where unobserved; exog (n, X), NaN where unknown."""
        return self._advance(state, y, exog)[0]

    def step(
        self, state: State, y: Tensor, exog: Tensor | None = None, futr: Tensor | None = None
    ) -> tuple[State, Tensor]:
        """`advance`, then `forecast`: the same numbers, the window scaled once."""
        state, window, h = self._advance(state, y, exog)
        return state, self._forecast(h, window, futr)

    def replay(self, state: State, steps: Steps) -> State:
        """`advance` over all of `steps`, by the fused kernel."""
        for start in range(0, len(steps), _REPLAY_STEPS):
            window = slice(start, start + _REPLAY_STEPS)
            _, inputs, ring = self._encode(state, Steps(steps.y[:, window], steps.exog[:, window]))
            _, memory = self.recurrent(inputs, state.memory)
            state = State(ring, memory, state.stat)
        return state

    def forecast(self, state: State, futr: Tensor | None = None) -> Tensor:
        """(n, horizon, outputs) float64 in data units, quantiles ascending; NaN for empty windows.

        futr: (n, horizon, n_futr), the known future covariates; NaN where unknown. Crossing
        quantiles are put in order, which never worsens their loss (Chernozhukov, Fernandez-Val &
        Galichon 2010). Those of windows with few values are widened then (`models.warming`).
        """
        h = self.recurrent.top(state.memory)  # (n, features)
        return self._forecast(h, self.encoder.scaled(state.ring), futr)

    def unroll(
        self, state: State, steps: Steps, futr: Tensor | None = None, at: Tensor | None = None
    ) -> Unrolled:
        """A forecast after every step, or after those whose indices are in `at` (K,).

        futr: (n, K, horizon, n_futr), each origin's known future.
        """
        window, inputs, ring = self._encode(state, steps)
        h, memory = self.recurrent(inputs, state.memory)  # (n, T, H)
        z, loc, scale = window.z, window.loc, window.scale
        if at is not None:
            h, z, loc, scale = h[:, at], z[:, at], loc[:, at], scale[:, at]
        outputs = self.head(h, z, self._scaled_futr(futr, h))  # (n, K, horizon, outputs)
        return Unrolled(outputs, loc[..., 0], scale[..., 0], State(ring, memory, state.stat))

    def _advance(
        self, state: State, y: Tensor, exog: Tensor | None
    ) -> tuple[State, Window, Tensor]:
        """The states after a step, their windows, and the top layer's hidden state (n, H)."""
        encoder = self.encoder
        if exog is None and encoder.n_exog:
            exog = state.memory.new_full((len(state), encoder.n_exog), torch.nan)
        x = to_network(y, self.spec)
        ring = torch.cat((state.ring[:, 1:], x.unsqueeze(1)), 1)  # (n, input_size)
        window = encoder.scaled(ring)
        inputs = encoder(window, exog, state.stat)  # (n, inputs)
        h, memory = self.recurrent.step(inputs, state.memory)
        return State(ring, memory, state.stat), window, h

    def _forecast(self, h: Tensor, window: Window, futr: Tensor | None) -> Tensor:
        z = ascending(self.head(h, window.z, self._scaled_futr(futr, h)))  # (n, horizon, outputs)
        x = torch.addcmul(window.loc.unsqueeze(-1), window.scale.unsqueeze(-1), z)
        if not window.full and self.widening is not None:
            x = self.widening.widened(x, window)
        return to_forecast(x, self.spec)

    def _encode(self, state: State, steps: Steps) -> tuple[Window, Tensor, Tensor]:
        """The window of every step, the recurrent layers' inputs, and the ring after the last."""
        size = self.spec.input_size
        values = torch.cat([state.ring, to_network(steps.y, self.spec)], 1)  # (n, input_size + T)
        windows = values[:, 1:].unfold(1, size, 1)  # (n, T, input_size), a view
        stat = state.stat[:, None].expand(-1, len(steps), -1)  # (n, T, S)
        window = self.encoder.scaled(windows)
        return window, self.encoder(window, steps.exog, stat), values[:, -size:]

    def _scaled_futr(self, futr: Tensor | None, h: Tensor) -> Tensor | None:
        """futr in the encoder's scale, zero (the training mean) where unknown; h (..., H)."""
        n_futr = self.spec.n_futr
        if not n_futr:
            return None
        if futr is None:
            return h.new_zeros(*h.shape[:-1], self.spec.horizon, n_futr)
        loc, scale = self.encoder.exog_loc[-n_futr:], self.encoder.exog_scale[-n_futr:]
        return ((futr - loc) / scale).nan_to_num(0.0)


def ascending(outputs: Tensor) -> Tensor:
    """Outputs in ascending order along the last axis."""
    # sorting costs four times what looking does, but for a few streams it costs as much
    many = outputs.numel() > 4096
    if many and not bool(outputs.diff(dim=-1).amin() < 0):
        return outputs
    return outputs.sort(-1).values


def new_forecaster(spec: Spec, seed: int) -> Forecaster:
    """A forecaster with fresh weights, the same for a seed; torch's global seed is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Forecaster(spec).eval()


def parameter_count(forecaster: Forecaster) -> int:
    """Trainable numbers, as torch holds them (two biases a gate)."""
    return sum(parameter.numel() for parameter in forecaster.parameters())


def equation_parameter_count(forecaster: Forecaster) -> int:
    """Trainable numbers in the textbook's counting: one bias a gate."""
    spec, inputs = forecaster.spec, forecaster.encoder.inputs
    cells = sum(
        equation_parameters(cell, inputs, spec.hidden_size, spec.layers) for cell in spec.cells
    )
    return cells + sum(parameter.numel() for parameter in forecaster.head.parameters())
