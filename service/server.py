"""The application behind uvicorn, with every bound that its connections have."""

from __future__ import annotations

import uvicorn

from service.app import create_app
from service.logs import configure
from service.protocol import bounded
from store.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until a signal ends it; requests in flight are given `drain_seconds`."""
    configure(settings.log_level)
    server(settings).run()


def server(settings: Settings) -> uvicorn.Server:
    """A server that is not running yet."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=bounded(settings),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,  # ours says more
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=max(1, round(settings.keep_alive_seconds)),
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        )
    )
