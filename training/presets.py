"""Forecasters with a name of their own, fitted by the same pipeline as any other."""

from __future__ import annotations

from models.spec import Spec
from training.panel import Panel
from training.schedule import Schedule

TEXTBOOK_WINDOW, TEXTBOOK_HORIZON = 100, 10


def textbook(panel: Panel, *, seed: int = 0, threads: int = 1) -> tuple[Spec, Schedule]:
    """`LSTM(50)` over `(100, 1)` into `Dense(10)`, Adam, mean squared error.

    One value a step, scaled by the newest 100, sequences of 100 steps, ten steps ahead from the
    last state: 10,400 parameters in the cell and 510 in the dense layer, 10,910 in the equations'
    counting; torch's second bias a gate makes it 11,110. Adam is AdamW without decay.
    """
    spec = Spec(
        cell="lstm",
        timeline=panel.timeline,
        horizon=TEXTBOOK_HORIZON,
        input_size=TEXTBOOK_WINDOW,
        lags=1,
        hidden_size=50,
        layers=1,
        quantiles=(),
        skip=False,
        sees_gaps=False,
    )
    schedule = Schedule(
        batches=600,
        lanes=32,
        steps=TEXTBOOK_WINDOW,
        origins=25,
        learning_rate=1e-3,
        weight_decay=0.0,
        seed=seed,
        threads=threads,
    )
    return spec, schedule
