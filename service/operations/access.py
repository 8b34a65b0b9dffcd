"""Who may change what serves: whoever knows the token, where one is set."""

from __future__ import annotations

from hmac import compare_digest

from starlette.requests import Request

from service.problems import problem
from store.settings import Settings


def check_access(request: Request, settings: Settings) -> None:
    """Raise 401 unless the request has `Authorization: Bearer` and the token, if there is one."""
    if settings.operations_token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    token = settings.operations_token.get_secret_value().encode()
    same = compare_digest(given.strip().encode("utf-8", "replace"), token)
    if scheme.lower() != "bearer" or not same:
        raise problem(
            401,
            "not-an-operator",
            "this needs the token of GATECAST_OPERATIONS_TOKEN: Authorization: Bearer …",
            headers={"www-authenticate": "Bearer"},
        )
