"""How each peer is fitted and asked, with its own defaults but for what the task fixes.

Runs in the peers' environment, which has none of our packages. A peer is a function of the training
series that fits, and gives a function from histories to quantiles.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

HORIZON, SEASON, WINDOW = 48, 24, 168
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
_WIDTHS = (80, 95)

Values = NDArray[np.float64]
Forecast = Callable[[Sequence[Values]], Values]
"""Histories -> (n, HORIZON, len(LEVELS))."""


def quiet() -> None:
    """Peers talk much, and warn of what is their own affair."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    os.environ["NIXTLA_ID_AS_COL"] = "1"
    for name in ("pytorch_lightning", "lightning", "lightning.pytorch", "darts", "gluonts"):
        logging.getLogger(name).setLevel(logging.ERROR)


def neuralforecast(cell: str, series: Sequence[Values]) -> Forecast:
    """neuralforecast's LSTM or GRU: its own number of steps and sizes, quantile loss."""
    from neuralforecast import NeuralForecast  # noqa: PLC0415
    from neuralforecast.losses.pytorch import MQLoss  # noqa: PLC0415
    from neuralforecast.models import GRU, LSTM  # noqa: PLC0415

    model = {"lstm": LSTM, "gru": GRU}[cell](
        h=HORIZON,
        input_size=WINDOW,
        loss=MQLoss(quantiles=list(LEVELS)),
        scaler_type="robust",
        accelerator="cpu",
        enable_progress_bar=False,
        logger=False,
    )
    fitted = NeuralForecast(models=[model], freq=1)
    fitted.fit(_frame(series))

    def forecast(histories: Sequence[Values]) -> Values:
        said = fitted.predict(_frame(histories))
        columns = [name for name in said.columns if name not in ("unique_id", "ds")]
        values = said[columns].to_numpy().reshape(len(histories), HORIZON, len(LEVELS))
        return np.sort(values, axis=-1)

    return forecast


def darts(cell: str, series: Sequence[Values]) -> Forecast:
    """darts' BlockRNNModel, series scaled as its guide does, quantile regression."""
    from darts import TimeSeries  # noqa: PLC0415
    from darts.dataprocessing.transformers import Scaler  # noqa: PLC0415
    from darts.models import BlockRNNModel  # noqa: PLC0415
    from darts.utils.likelihood_models import QuantileRegression  # noqa: PLC0415

    def told(values: Sequence[Values]) -> list[TimeSeries]:
        return [TimeSeries.from_values(each.astype(np.float32)) for each in values]

    model = BlockRNNModel(
        input_chunk_length=WINDOW,
        output_chunk_length=HORIZON,
        model=cell.upper(),
        hidden_dim=64,
        n_epochs=30,
        likelihood=QuantileRegression(list(LEVELS)),
        random_state=0,
        pl_trainer_kwargs={
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": False,
        },
    )
    # every window an epoch would take hours: as many batches as neuralforecast's defaults
    model.fit(Scaler().fit_transform(told(series)), max_samples_per_ts=3)

    def forecast(histories: Sequence[Values]) -> Values:
        scaler = Scaler()
        scaled = scaler.fit_transform(told(histories))
        said = model.predict(HORIZON, series=scaled, predict_likelihood_parameters=True)
        values = np.stack([each.values() for each in said])  # (n, HORIZON, levels)
        low = np.array([each.min() for each in histories])[:, None, None]
        high = np.array([each.max() for each in histories])[:, None, None]
        return np.sort(values * (high - low) + low, axis=-1)

    return forecast


def deepar(series: Sequence[Values]) -> Forecast:
    """GluonTS' DeepAR: its own sizes, epochs and number of sample paths."""
    import pandas as pd  # noqa: PLC0415
    from gluonts.dataset.common import ListDataset  # noqa: PLC0415
    from gluonts.torch import DeepAREstimator  # noqa: PLC0415

    def told(values: Sequence[Values]) -> ListDataset:
        start = pd.Period("2015-07-01", freq="h")
        return ListDataset([{"start": start, "target": each} for each in values], freq="h")

    predictor = DeepAREstimator(
        freq="h",
        prediction_length=HORIZON,
        context_length=WINDOW,
        trainer_kwargs={
            "max_epochs": 100,
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": False,
        },
    ).train(told(series))

    def forecast(histories: Sequence[Values]) -> Values:
        said = predictor.predict(told(histories))
        return np.stack([[each.quantile(level) for level in LEVELS] for each in said]).transpose(
            0, 2, 1
        )

    return forecast


def statsforecast(model: str, series: Sequence[Values]) -> Forecast:
    """statsforecast's AutoETS or AutoTheta: fitted anew to each history, nothing before."""
    from statsforecast import models  # noqa: PLC0415

    del series

    def one(history: Values) -> Values:
        answer = getattr(models, model)(season_length=SEASON).forecast(
            history, HORIZON, level=list(_WIDTHS)
        )
        columns = ["lo-95", "lo-80", "mean", "hi-80", "hi-95"]
        return np.stack([answer[each] for each in columns], axis=-1)

    def forecast(histories: Sequence[Values]) -> Values:
        return np.stack([one(each) for each in histories])

    return forecast


def _frame(series: Sequence[Values]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    return pd.concat(
        [
            pd.DataFrame({"unique_id": f"{row:04}", "ds": np.arange(each.size), "y": each})
            for row, each in enumerate(series)
        ]
    )


PEERS: dict[str, Callable[[Sequence[Values]], Forecast]] = {
    "neuralforecast LSTM": lambda series: neuralforecast("lstm", series),
    "neuralforecast GRU": lambda series: neuralforecast("gru", series),
    "darts LSTM": lambda series: darts("lstm", series),
    "darts GRU": lambda series: darts("gru", series),
    "GluonTS DeepAR": deepar,
    "AutoETS": lambda series: statsforecast("AutoETS", series),
    "AutoTheta": lambda series: statsforecast("AutoTheta", series),
}
