"""What is written in the registry of promotions: verdicts on versions, and the task's history."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from training.promotion.gate import Verdict
from training.registry import quiet_mlflow
from training.versions import Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

VERDICT_TAG = "gatecast.verdict"
"""On a version: JSON, the newest verdict of the gate, with its reasons."""
HISTORY_TAG = "gatecast.promotions"
"""On the registered model: JSON, the newest changes of the champion, newest first."""
VERDICT_FILE = "gate/verdict.json"
"""In the run of a version: the newest verdict, whole."""

KEPT_CHANGES = 20
_LONGEST_TAG = 5000  # characters; the column's width in MLflow's database
_LONGEST_SAID = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the champion. at: ISO 8601, UTC. action: promote, force or rollback. before:
    the champion until then, None for none.
    """

    at: str
    action: str
    version: int
    before: int | None
    by: str
    reason: str

    @classmethod
    def now(cls, action: str, version: int, before: int | None, by: str, reason: str) -> Self:
        """A change at this moment; long words are cut."""
        return cls(_now(), action, version, before, by[:80], reason[:_LONGEST_SAID])


def told(verdict: Verdict, *, longest: int | None = None) -> dict[str, Any]:
    """A verdict as JSON has it; longest: characters of a reason."""
    return {
        "version": verdict.version,
        "champion": verdict.champion,
        "passed": verdict.passed,
        "reasons": [
            {"rule": each.rule, "passed": each.passed, "said": each.said[:longest]}
            for each in verdict.reasons
        ],
    }


def note_verdict(client: MlflowClient, version: Version, verdict: Verdict) -> None:
    """Write a verdict on its version, and into the run that made it, where that is still there."""
    mlflow = quiet_mlflow()
    stamp = {"at": _now()}
    short = json.dumps(stamp | told(verdict, longest=_LONGEST_SAID))
    if len(short) > _LONGEST_TAG:
        short = json.dumps(stamp | told(verdict, longest=60))
    client.set_model_version_tag(version.task, str(version.number), VERDICT_TAG, short)
    if not version.run_id:
        return
    try:
        client.log_text(version.run_id, json.dumps(stamp | told(verdict), indent=1), VERDICT_FILE)
    except (mlflow.exceptions.MlflowException, OSError):
        return  # the run was removed or its artifacts cannot be written; the tag has it all


def history(client: MlflowClient, task: str) -> tuple[Change, ...]:
    """The newest changes of a task's champion, newest first; what cannot be read is not there."""
    text = client.get_registered_model(task).tags.get(HISTORY_TAG, "[]")
    try:
        return tuple(Change(**each) for each in json.loads(text))
    except (TypeError, ValueError):
        return ()


def note_change(client: MlflowClient, task: str, change: Change) -> None:
    """Put a change on record, before those that are; the oldest give way."""
    changes = [change, *history(client, task)][:KEPT_CHANGES]
    while len(text := json.dumps([asdict(each) for each in changes])) > _LONGEST_TAG:
        changes = changes[:-1]
    client.set_registered_model_tag(task, HISTORY_TAG, text)


def before(changes: Sequence[Change], version: int) -> int | None:
    """What a version replaced when it last became champion other than by a rollback."""
    for change in changes:
        if change.version == version and change.action != "rollback":
            return change.before
    return None


def person() -> str:
    """Who runs this process, for the record."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):  # a user without a name, as containers have them
        return f"uid {os.getuid()}@{socket.gethostname()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
