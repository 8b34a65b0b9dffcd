"""The least that a FastAPI service can do: read the body, answer what is always the same.

    python -m benchmarks.bare ANSWER --port PORT

ANSWER is a file with the answer's bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response


def application(answer: bytes) -> FastAPI:
    """The application, with the route that observations are posted to."""
    app = FastAPI()

    @app.post("/v1/models/{model}/streams/{unique_id}/observations")
    async def observe(request: Request) -> Response:
        await request.body()
        return Response(answer, media_type="application/json")

    @app.get("/readyz")
    async def readyz() -> Response:
        return Response()

    return app


def main() -> None:
    """Serve until a signal ends it."""
    answer, _, port = sys.argv[1:]
    uvicorn.run(
        application(Path(answer).read_bytes()),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
