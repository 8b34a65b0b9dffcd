"""Names that training writes into the registry and the service reads out of it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

CHAMPION = "champion"
"""The alias of the version that serves."""
CHALLENGER = "challenger"
"""The alias of the version that waits to be promoted."""
PREVIOUS = "previous"
"""The alias of the version that a rollback returns to."""

TASK_TAG = "gatecast.task"
"""A registered model with this tag, set to TASK_TAG_VALUE, is a forecasting task of ours."""
TASK_TAG_VALUE = "1"

CELL_TAG = "gatecast.cell"
"""On a version: lstm, gru or elman."""
PARAMETERS_TAG = "gatecast.parameters"
"""On a version: the number of trained weights, in decimal."""
DIGEST_TAG = "gatecast.digest"
"""On a version: the digest of the data that it was fitted to."""
SCORES_TAG = "gatecast.scores"
"""On a version: a compact JSON object, metric name to its mean over series and horizon."""
BASELINES_TAG = "gatecast.baselines"
"""On a version: JSON, baseline name to such an object, scored on the same windows."""

BUNDLE_FOLDER = "artifacts/bundle"
"""Where the bundle lies inside the logged model: the only folder that the service downloads."""

# `.` and `-` never lead, and `..` never occurs: the name becomes a folder under GATECAST_VAR.
TASK_NAME = r"^(?!.*\.\.)[a-z0-9][a-z0-9._-]{0,63}\Z"
VERSION = r"^[1-9][0-9]{0,8}\Z"
ALIAS = r"^(?!latest\Z|v[0-9]+\Z)[A-Za-z][A-Za-z0-9_-]{0,63}\Z"


def task_name(text: str) -> str:
    """`text` itself, if it may name a task; raises ValueError otherwise."""
    if re.match(TASK_NAME, text) is None:
        raise ValueError(
            "a task name has 1 to 64 of a-z, 0-9, '.', '_' and '-', "
            "starts with a letter or digit and has no '..'"
        )
    return text


def version_name(text: str) -> str:
    """`text` itself, if it may be a registry version; raises ValueError otherwise."""
    if re.match(VERSION, text) is None:
        raise ValueError("a version is a whole number from 1")
    return text


def alias_name(text: str) -> str:
    """`text` itself, if it may be an alias; raises ValueError otherwise."""
    if re.match(ALIAS, text) is None:
        raise ValueError(
            "an alias has 1 to 64 letters, digits, '_' and '-', starts with a letter, "
            "and is neither 'latest' nor like 'v1'"
        )
    return text


TaskName = Annotated[str, AfterValidator(task_name)]
VersionName = Annotated[str, AfterValidator(version_name)]
AliasName = Annotated[str, AfterValidator(alias_name)]
