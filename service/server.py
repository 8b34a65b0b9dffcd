"""The application behind uvicorn, with every bound that its connections have."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.door import Door
from service.logs import configure
from service.protocol import bounded
from service.socket_protocol import MAX_MESSAGE_BYTES, PING_SECONDS, bounded_socket
from service.streams.feeds import Feeds
from store.settings import Settings

_NOTICE_SECONDS = 0.5
"""In which who asks on an open connection is told, rather than finds it closed."""

log = structlog.get_logger()


def serve(settings: Settings) -> None:
    """Serve until a signal ends it; requests in flight are given `drain_seconds`."""
    configure(settings.log_level)
    _calm_collector()
    server(settings).run()


def _calm_collector() -> None:
    """Let the collector of cycles look at what requests make, rarely, and at nothing older.

    At its defaults it went through the libraries' objects again and again, which took a quarter of
    the processor time of a service at work.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)


class Server(uvicorn.Server):
    """uvicorn's, that ends as a service should: nobody who was answered, or is still, is cut off.

    Of a signal: requests are refused with a 503 and their connections closed after it, who listens
    to streams is told, what is in work is finished; only then are connections closed.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end. The process is not to end by the signal: it ends well, with 0."""
        if not self.should_exit:
            end = threading.Timer(2 * self._drain_seconds, _give_up)
            end.daemon = True
            end.start()
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let everybody go, then close."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._drain_seconds
        door: Door = self._app.state.door
        feeds: Feeds = self._app.state.parts.feeds
        door.closing = True
        feeds.stop()
        await asyncio.sleep(min(_NOTICE_SECONDS, self._drain_seconds))
        while (door.inside or feeds.readers) and loop.time() < end:
            await asyncio.sleep(0.02)
        self.config.timeout_graceful_shutdown = max(1, round(end - loop.time()))
        await super().shutdown(sockets)


def _give_up() -> None:
    """The last resort, where the store stands still: what was acknowledged is durable."""
    log.error("stopped with work left that does not end")
    os._exit(1)


def server(settings: Settings) -> Server:
    """A server that is not running yet."""
    app = create_app(settings)
    return Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=bounded(settings),
            ws=bounded_socket(settings),
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            ws_per_message_deflate=False,  # a compressor for each costs more memory than it saves
            lifespan="on",
            log_config=None,
            access_log=False,  # ours says more
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=max(1, round(settings.keep_alive_seconds)),
        ),
        app,
        settings.drain_seconds,
    )
