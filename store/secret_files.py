"""Settings that hold passwords, from files: how container engines hand secrets over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SUFFIX = "_FILE"
_LONGEST = 65_536  # characters


class SecretFiles(PydanticBaseSettingsSource):
    """For each of some settings, the first words of the file that the variable NAME_FILE names.

    variables: by field. Raises pydantic's `ValidationError`, which names the variable, for a file
    that cannot be read or is empty, and where NAME is set as well.
    """

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def __call__(self) -> dict[str, Any]:
        """What the files hold, by the name that the settings know it by."""
        found: dict[str, Any] = {}
        for field, variable in self._variables.items():
            if place := os.environ.get(variable + SUFFIX):
                known = self.settings_cls.model_fields[field].validation_alias or field
                found[str(known)] = self._read(variable, Path(place))
        return found

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - pydantic's
        field_name: str,
    ) -> tuple[Any, str, bool]:
        """Nothing: fields are read together."""
        return None, field_name, False

    def _read(self, variable: str, file: Path) -> str:
        if os.environ.get(variable):
            raise self._fault(variable, f"{variable} is set too: set one of them")
        try:
            with file.open(encoding="utf-8") as opened:
                content = opened.read(_LONGEST).strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise self._fault(variable, f"the file cannot be read ({why})") from None
        if not content:
            raise self._fault(variable, "the file is empty")
        return content

    def _fault(self, variable: str, reason: str) -> ValidationError:
        fault = InitErrorDetails(
            type=PydanticCustomError("unusable_file", "{reason}", {"reason": reason}),
            loc=(variable.removeprefix("GATECAST_").lower() + SUFFIX.lower(),),
            input=None,
        )
        return ValidationError.from_exception_data(
            self.settings_cls.__name__, [fault], hide_input=True
        )
