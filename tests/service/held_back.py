"""A request whose body is held back: surely in work, for as long as a test wants it to be."""

from __future__ import annotations

import socket
from http.client import HTTPResponse
from urllib.parse import urlsplit

_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class HeldBack:
    """A POST of which the service has the head; the service has asked for the body and waits.

    `Expect: 100-continue` makes the moment visible: the answer `100 Continue` is sent when the
    application reads the body, so no test has to guess how long that takes.
    """

    def __init__(self, url: str, body: bytes, seconds: float = 60.0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        head = (
            f"POST {path} HTTP/1.1\r\n"
            f"host: {parts.netloc}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            "expect: 100-continue\r\n\r\n"
        )
        self._body = body
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=seconds)
        self._socket.sendall(head.encode())
        said = b""
        while len(said) < len(_GO_ON):
            some = self._socket.recv(len(_GO_ON) - len(said))
            assert some, f"the service hung up after {said!r}"
            said += some
        assert said == _GO_ON

    def send(self) -> tuple[int, bytes]:
        """Send the body; the status and the body of the answer."""
        with self._socket:
            self._socket.sendall(self._body)
            with HTTPResponse(self._socket, method="POST") as answer:
                answer.begin()
                return answer.status, answer.read()
