"""`WS /v1/models/{model}/stream`: many streams over one socket, observed and listened to."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, WebSocket

from service.problems import ProblemError, problem, response
from service.streams.routes import served
from service.streams.socket_session import Session

router = APIRouter(tags=["streams"])

_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


@router.websocket("/v1/models/{model}/stream")
async def stream(socket: WebSocket) -> None:
    """Serve a socket, unless the model is not served, or a page of another site asks for it."""
    try:
        _check_origin(socket)
        parts, loaded = served(socket)
        parts.feeds.check_room()
    except ProblemError as error:
        await socket.send_denial_response(response(error))
        return
    await socket.accept()
    await Session(parts, loaded, socket).run()


def _check_origin(socket: WebSocket) -> None:
    """Raise 403 for a page of another site: browsers let every page open sockets to anywhere."""
    origin = socket.headers.get("origin")
    if origin is None:
        return
    hosts = socket.headers.getlist("host")
    try:
        scheme, place = urlsplit(origin.lower())[:2]
    except ValueError:
        scheme, place = "", ""
    usual = _PORTS.get(scheme, "")
    if len(hosts) != 1 or place.removesuffix(usual) != hosts[0].lower().removesuffix(usual):
        raise problem(403, "foreign-origin", "the page that asks is not of this host")
