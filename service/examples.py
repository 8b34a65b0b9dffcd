"""Examples that the OpenAPI document shows; a test sends each of them."""

from __future__ import annotations

from typing import Any

FORECAST_REQUEST: dict[str, Any] = {
    "model": "load-hourly",
    "h": 2,
    "quantiles": [0.1, 0.5, 0.9],
    "series": [
        {
            "unique_id": "H1",
            "ds": [
                "2026-03-29T00:00:00+00:00",
                "2026-03-29T01:00:00+00:00",
                "2026-03-29T02:00:00+00:00",
                "2026-03-29T03:00:00+00:00",
            ],
            "y": [605.0, None, 559.0, 542.5],
        }
    ],
}
LEVEL_REQUEST: dict[str, Any] = {
    "model": "load-hourly",
    "alias": "champion",
    "level": [80],
    "series": [
        {"unique_id": "H1", "start": "2026-03-29T00:00:00Z", "y": [605.0, 586.0, 559.0, 542.5]}
    ],
}
FORECAST_ANSWER: dict[str, Any] = {
    "model": "load-hourly",
    "version": "3",
    "forecasts": [
        {
            "unique_id": "H1",
            "ds": ["2026-03-29T04:00:00+00:00", "2026-03-29T05:00:00+00:00"],
            "mean": [541.2, 548.9],
            "quantiles": {
                "0.1": [520.4, 519.8],
                "0.5": [541.2, 548.9],
                "0.9": [562.7, 581.3],
            },
        }
    ],
}
PROBLEM: dict[str, Any] = {
    "type": "urn:gatecast:problem:invalid-request",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "1 fault",
    "errors": [
        {"field": "y[3]", "reason": "Input should be a finite number", "series": "H1", "index": 0}
    ],
}
