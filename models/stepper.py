"""One stream's next step without tensors, whose calls cost more than their arithmetic does.

A step is some fifty small products and sums. For a batch torch's share is next to nothing, for a
single stream it is more than half; numpy asks less a call. The formulas are those of `encoder`,
`recurrent` and `head`, and a test holds both to the same numbers for every kind of spec.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import isnan, nan, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .encoder import FLOOR
from .forecaster import Forecaster
from .recurrent import Recurrent, members
from .spec import Recurrence
from .state import State
from .transform import forecast_of, network_of

Numbers = NDArray[np.float32]
Values = NDArray[np.float64]


class _Layer(NamedTuple):
    """A layer's weights as the fused kernel stacks them; G gates of H units, D inputs."""

    W: Numbers  # (G * H, D)
    U: Numbers  # (G * H, H)
    b: Numbers  # (G * H,)
    d: Numbers  # (G * H,)


class _Scaled(NamedTuple):
    """A full window scaled by itself: z (lags,), and its location and scale."""

    z: Numbers
    loc: float
    scale: float


class Stepper:
    """`step`, `advance` and `forecast` of a forecaster, faster where there is one stream.

    It shares the forecaster's weights, on the processor's memory; to use it from several threads
    at once is safe. More streams than one, and windows with gaps, are left to the forecaster.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        self._spec = forecaster.spec
        self._mean = np.full(self._spec.input_size, 1.0 / self._spec.input_size)
        self._members = [_layers(member) for member in members(forecaster.recurrent)]
        self._tops = forecaster.recurrent.tops
        encoder, head = forecaster.encoder, forecaster.head
        self._exog_loc, self._exog_scale = map(_numbers, (encoder.exog_loc, encoder.exog_scale))
        self._state, self._bias = _linear(head.state)
        self._skip = None if head.skip is None else _numbers(head.skip.weight)
        if head.gated:
            self._gate_state, self._gate_bias = _linear(head.gate_state)
            self._gate_input = _numbers(head.gate_input.weight)
            self._gate_output = _numbers(head.gate_output.weight)
        if head.n_futr:
            self._futr_state, self._futr_bias = _linear(head.futr_state)
            self._futr_input = _numbers(head.futr_input.weight)
            self._futr_output = _numbers(head.futr_output.weight)

    def step(
        self, state: State, y: Tensor, exog: Tensor | None = None, futr: Tensor | None = None
    ) -> tuple[State, Tensor]:
        """What `Forecaster.step` gives, to 1e-5 of it; no gradients."""
        with _quietly():
            alone = self._advance(state, y, exog) if len(state) == 1 else None
            if alone is None:
                return self._forecaster.step(state, y, exog, futr)
            return alone[0], self._forecast(*alone, futr)

    def advance(self, state: State, y: Tensor, exog: Tensor | None = None) -> State:
        """What `Forecaster.advance` gives, to 1e-5 of it; no gradients."""
        with _quietly():
            alone = self._advance(state, y, exog) if len(state) == 1 else None
        return self._forecaster.advance(state, y, exog) if alone is None else alone[0]

    def forecast(self, state: State, futr: Tensor | None = None) -> Tensor:
        """What `Forecaster.forecast` gives, to 1e-5 of it; after `step`, the same to the bit."""
        with _quietly():
            window = self._scaled(state.ring.numpy()[0]) if len(state) == 1 else None
            if window is None:
                return self._forecaster.forecast(state, futr)
            return self._forecast(state, window, futr)

    def _advance(
        self, state: State, y: Tensor, exog: Tensor | None
    ) -> tuple[State, _Scaled] | None:
        """The state after a step, and its window; None where the window has gaps."""
        ring = self._ring(state, float(y))
        window = self._scaled(ring)
        if window is None:
            return None
        inputs = self._inputs(window.z, exog, state.stat)
        memory = self._recur(inputs, state.memory.numpy()[0])
        after = State(torch.from_numpy(ring)[None], torch.from_numpy(memory)[None], state.stat)
        return after, window

    def _forecast(self, state: State, window: _Scaled, futr: Tensor | None) -> Tensor:
        """(1, horizon, outputs), data units."""
        h = state.memory.numpy()[0, self._tops].reshape(-1)  # (features,)
        z = self._head(h, window.z, futr)  # (horizon, outputs)
        z.sort(axis=-1)
        x = z * np.float64(window.scale)
        x += window.loc
        return torch.from_numpy(forecast_of(x, self._spec))[None]

    def _ring(self, state: State, y: float) -> Values:
        """(input_size,), the newest value behind the others."""
        before: Values = state.ring.numpy()[0]
        ring = np.empty_like(before)
        ring[:-1] = before[1:]
        ring[-1] = network_of(y, self._spec)
        return ring

    def _scaled(self, ring: Values) -> _Scaled | None:
        """None where a value is missing."""
        encoder = self._forecaster.encoder
        loc = float(ring @ self._mean)
        if isnan(loc):
            return None
        centred = (ring - loc).astype(np.float32)
        scale = sqrt(float(centred @ centred) / centred.size)
        if encoder.relative_floor:
            scale = max(scale, FLOOR * abs(loc), encoder.least_scale)
        else:
            scale = max(scale, FLOOR)
        return _Scaled(centred[-encoder.lags :] / np.float32(scale), loc, scale)

    def _inputs(self, z: Numbers, exog: Tensor | None, stat: Tensor) -> Numbers:
        """(inputs,) as `Encoder.forward` has them."""
        encoder = self._forecaster.encoder
        inputs = np.empty(encoder.inputs, np.float32)
        at = z.size
        inputs[:at] = z
        if encoder.sees_gaps:  # the newest was observed, and so was everything else
            inputs[at : at + 2] = 1.0
            at += 2
        if encoder.n_exog:
            given = np.full(encoder.n_exog, nan, np.float32) if exog is None else exog.numpy()[0]
            scaled = (given - self._exog_loc) / self._exog_scale  # (X,)
            masks = given[encoder.n_calendar :]
            inputs[at : at + scaled.size] = np.where(np.isnan(scaled), 0.0, scaled)
            at += scaled.size
            inputs[at : at + masks.size] = ~np.isnan(masks)
            at += masks.size
        if encoder.n_stat:
            inputs[at:] = encoder.static(stat).numpy()[0]
        return inputs

    def _recur(self, x: Numbers, memory: Numbers) -> Numbers:
        """x (inputs,), memory (slots, H) -> memory after."""
        after = np.empty_like(memory)
        slot = 0
        for cell, layers in self._members:
            h = x
            for layer in layers:
                if cell == "lstm":
                    held = slot + len(layers)
                    h, after[held] = _lstm(layer, h, memory[slot], memory[held])
                else:
                    h = (_gru if cell == "gru" else _elman)(layer, h, memory[slot])
                after[slot] = h
                slot += 1
            slot += len(layers) if cell == "lstm" else 0
        return after

    def _head(self, h: Numbers, z: Numbers, futr: Tensor | None) -> Numbers:
        """h (features,), z (lags,) -> (horizon, outputs)."""
        spec = self._spec
        out = self._state @ h
        out += self._bias
        out = out.reshape(spec.horizon, spec.outputs)
        if self._skip is not None:
            out += (self._skip @ z)[:, None]
        if spec.gated:
            gate = self._gate_state @ h
            gate += self._gate_bias
            np.tanh(gate, gate)
            gate *= self._gate_input @ z  # (terms,)
            out += (self._gate_output @ gate)[:, None]
        if spec.n_futr:
            mixed = self._futr_state @ h
            mixed += self._futr_bias
            if futr is None:
                mixed = np.tile(mixed, (spec.horizon, 1))
            else:
                known = futr.numpy()[0] - self._exog_loc[-spec.n_futr :]
                known /= self._exog_scale[-spec.n_futr :]
                known[np.isnan(known)] = 0.0  # (horizon, F)
                mixed = known @ self._futr_input.T + mixed
            out += np.tanh(mixed) @ self._futr_output.T
        return out


def _quietly() -> AbstractContextManager[None]:
    """What is not finite is the caller's to judge, by the numbers."""
    return np.errstate(all="ignore")


def _lstm(layer: _Layer, x: Numbers, h: Numbers, c: Numbers) -> tuple[Numbers, Numbers]:
    """The kernel stacks the gates i, f, the candidate, o."""
    gates = layer.W @ x
    gates += layer.b
    gates += layer.U @ h
    gates += layer.d
    size = h.size
    candidate = np.tanh(gates[2 * size : 3 * size])
    _sigmoid(gates)
    c = gates[size : 2 * size] * c
    candidate *= gates[:size]
    c += candidate
    return gates[3 * size :] * np.tanh(c), c


def _gru(layer: _Layer, x: Numbers, h: Numbers) -> Numbers:
    """The kernel stacks r, the update gate that weighs the old state, the candidate."""
    seen = layer.W @ x
    seen += layer.b
    held = layer.U @ h
    held += layer.d
    size = h.size
    gates = seen[: 2 * size]
    gates += held[: 2 * size]
    _sigmoid(gates)
    candidate = held[2 * size :]
    candidate *= gates[:size]
    candidate += seen[2 * size :]
    np.tanh(candidate, candidate)
    after = h - candidate
    after *= gates[size:]
    after += candidate
    return after


def _elman(layer: _Layer, x: Numbers, h: Numbers) -> Numbers:
    return np.tanh(layer.W @ x + layer.b + layer.U @ h + layer.d)


def _sigmoid(x: Numbers) -> None:
    """In its place."""
    np.negative(x, x)
    np.exp(x, x)
    x += 1.0
    np.reciprocal(x, x)


def _layers(member: Recurrent) -> tuple[Recurrence, list[_Layer]]:
    return member.cell, [_Layer(*map(_numbers, weights)) for weights in member.weights()]


def _linear(layer: nn.Linear) -> tuple[Numbers, Numbers]:
    return _numbers(layer.weight), _numbers(layer.bias)


def _numbers(weights: Tensor) -> Numbers:
    """The same memory."""
    numbers: Numbers = weights.detach().numpy()
    return numbers
