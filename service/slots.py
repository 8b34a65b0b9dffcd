"""What is in service: a slot for each task, and in it the version that `champion` named last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from models.forecaster import Forecaster
from models.manifest import Manifest
from models.spec import Spec
from models.stepper import Stepper


@dataclass(frozen=True, eq=False, slots=True)
class Loaded:
    """A version, verified and warm.

    source: what the registry says it was made from. stepper: its forecaster for single streams.
    """

    task: str
    version: str
    source: str
    forecaster: Forecaster
    manifest: Manifest
    stepper: Stepper = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stepper", Stepper(self.forecaster))

    @property
    def spec(self) -> Spec:
        """What the forecaster is."""
        return self.manifest.spec


@dataclass(frozen=True, slots=True)
class Slot:
    """A task as it is now.

    champion: the version that answers, None until one has been loaded.
    aliases: alias to version, as the registry said last.
    last_error: why the version that the registry names is not the one that answers, or None.
    from_disk: whether the champion is what served last, which no registry has confirmed since this
        process began.
    """

    task: str
    champion: Loaded | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    last_error: str | None = None
    from_disk: bool = False


class Slots:
    """The slots by task. Only the event loop's thread writes.

    A slot is a value and is replaced as a whole by one assignment: whoever took it before keeps
    what it took, and answers with the version it began with.

    complete: whether the registry has named all tasks, so that one that has no slot is none.
    """

    def __init__(self) -> None:
        self.complete = False
        self._slots: dict[str, Slot] = {}

    def get(self, task: str) -> Slot | None:
        """The slot of a task."""
        return self._slots.get(task)

    def put(self, slot: Slot) -> None:
        """Publish a slot in the place of the one that its task had."""
        self._slots[slot.task] = slot

    def __iter__(self) -> Iterator[Slot]:
        return iter([self._slots[task] for task in sorted(self._slots)])
