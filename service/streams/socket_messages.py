"""What a client says over a socket, as it may be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from models.spec import Spec
from service.json_body import read_json
from service.problems import Fault, ProblemError, fault_of, invalid
from service.streams.bulk_columns import Bulk
from service.streams.bulk_lines import read_values
from service.streams.bulk_schema import MAX_NAME

MOST_SUBSCRIPTIONS = 1_024
"""Of one socket."""
_KINDS = ("subscribe", "unsubscribe", "observe", "credit")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]
Numbers = Annotated[list[float], Field(min_length=1, max_length=99, fail_fast=True)]


class _Message(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Wanted(_Message):
    """A stream to listen to."""

    unique_id: Name
    after: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """The position of the last event that the client has; every event after it is sent. Without it
    events begin with the next, and where credit is lacking only the newest is kept."""


class Subscribe(_Message):
    """Listen to streams; one that is listened to already begins anew."""

    subscribe: Annotated[
        list[Wanted], Field(min_length=1, max_length=MOST_SUBSCRIPTIONS, fail_fast=True)
    ]
    h: Annotated[int, Field(ge=1, le=99_999)] | None = None
    """Steps of each forecast; the model's horizon where not given."""
    level: Numbers | None = None
    """Interval levels in percent."""
    quantiles: Numbers | None = None
    """Quantiles between 0 and 1, instead of levels."""

    @property
    def query(self) -> str:
        """The same as a request's query asks for it."""
        said: dict[str, str] = {}
        if self.h is not None:
            said["h"] = str(self.h)
        for name, numbers in (("level", self.level), ("quantiles", self.quantiles)):
            if numbers is not None:
                said[name] = ",".join(map(repr, numbers))
        return urlencode(said)


class Unsubscribe(_Message):
    """Listen to streams no more."""

    unsubscribe: Annotated[
        list[Name], Field(min_length=1, max_length=MOST_SUBSCRIPTIONS, fail_fast=True)
    ]


class Credit(_Message):
    """Take more events."""

    credit: Annotated[int, Field(ge=1, le=1_000_000)]


class _Observe(_Message):
    observe: Annotated[list[Any], Field(min_length=1)]
    id: Annotated[str, Field(max_length=64)] | None = None


@dataclass(frozen=True, slots=True)
class Observe:
    """Observations of streams. id: what the acknowledgement is to say."""

    id: str | None
    bulk: Bulk


def read_message(text: bytes, spec: Spec, most: int) -> Subscribe | Unsubscribe | Credit | Observe:
    """What a message says. Raises 400, 413 for more than `most` observations, 422."""
    value = read_json(text)
    kinds = [kind for kind in _KINDS if isinstance(value, dict) and kind in value]
    if len(kinds) != 1:
        reason = f"must be an object with one of {', '.join(_KINDS)}"
        raise invalid([Fault(field="message", reason=reason)])
    try:
        if kinds == ["observe"]:
            said = _Observe.model_validate(value)
            return Observe(said.id, read_values(said.observe, spec, most))
        if kinds == ["credit"]:
            return Credit.model_validate(value)
        if kinds == ["unsubscribe"]:
            return Unsubscribe.model_validate(value)
        return Subscribe.model_validate(value)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)) from None


def _refusal(errors: Sequence[Any]) -> ProblemError:
    return invalid(list(dict.fromkeys(fault_of(each, {}) for each in errors)))
