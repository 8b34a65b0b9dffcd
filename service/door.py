"""Who is inside: the requests in work, and whether more may come."""

from __future__ import annotations


class Door:
    """Counts requests. most: how many may be inside at once. closing: none may come any more."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.inside = 0
        self.closing = False
