"""Which version becomes the champion: through the gate, one at a time, and on record.

All that moves `champion` or `previous` holds the task's lock in the store meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.conventions import CHALLENGER, CHAMPION, PREVIOUS
from store.database import Database
from store.locks import Lease, holding
from store.settings import Settings
from training.promotion.evidence import Dossier, dossier, gather
from training.promotion.gate import Thresholds, Verdict, judge
from training.promotion.incumbents import champion_of
from training.promotion.record import Change, before, history, note_change, note_verdict
from training.registry import NotThereError, Registry, RegistryError, open_client
from training.versions import Version, pick, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient


def _no_fence() -> None:
    """No other lease to lose."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was done: champion and previous are the versions after it, None for none.

    reason: in a line, for people. verdicts: of the gate on every candidate.
    """

    promoted: bool
    champion: int | None
    previous: int | None
    reason: str
    verdicts: tuple[Verdict, ...] = ()


def thresholds_of(settings: Settings) -> Thresholds:
    """The gate's thresholds, with those that an operator may set."""
    return Thresholds(
        margin=settings.gate_margin,
        alpha=settings.gate_alpha,
        step_ms=settings.gate_step_ms,
        batch_ms=settings.gate_batch_ms,
        bundle_bytes=settings.gate_bundle_bytes,
    )


def promote_best(
    registry: Registry,
    task: str,
    candidates: Iterable[int],
    *,
    store: Database,
    by: str,
    reason: str,
    fence: Callable[[], None] = _no_fence,
    thresholds: Thresholds | None = None,
) -> Promotion:
    """Give `champion` to the best of the candidates that pass the gate; the old one is `previous`.

    The best is the one of least MASE; candidates that pass on different windows do not compare, and
    none is taken. The verdict on each is written on it, whether any alias moves or not. by, reason:
    for the record. fence: called right before each alias is moved; it raises where the caller may
    not go on, and then no alias is moved any more.

    Raises RegistryError for a version that is not there and where another writer moved the alias at
    the same time, `store.locks.LockBusyError` where another promotion takes too long, and
    `store.locks.LeaseLostError` where this one did.
    """
    wanted = list(candidates)
    limits = thresholds or Thresholds()
    with holding(store, task, by=by) as lease:
        found = versions(registry, task)
        chosen = pick(found, wanted)
        return _Change(registry, task, found, lease, fence, by, reason).best(chosen, limits)


def promote(
    registry: Registry,
    task: str,
    number: int,
    *,
    store: Database,
    by: str,
    reason: str,
    force: bool = False,
    fence: Callable[[], None] = _no_fence,
    thresholds: Thresholds | None = None,
) -> Promotion:
    """Give `champion` to a version if it passes the gate.

    force: even if it does not, if only its bundle is sound; then the reason must say why. Raises
    ValueError for a force without reason, and what `promote_best` raises.
    """
    if force and not reason.strip():
        raise ValueError("to pass over the gate, say why: --reason")
    limits = thresholds or Thresholds()
    with holding(store, task, by=by) as lease:
        found = versions(registry, task)
        (chosen,) = pick(found, [number])
        change = _Change(registry, task, found, lease, fence, by, reason)
        return change.forced(chosen, limits) if force else change.best([chosen], limits)


def rollback(
    registry: Registry,
    task: str,
    *,
    store: Database,
    by: str,
    reason: str,
    fence: Callable[[], None] = _no_fence,
) -> Promotion:
    """Give `champion` back to `previous`, without asking the gate.

    `previous` then names what the restored version had replaced, or nothing. Raises RegistryError
    where there is no version to return to or it does not load, and what `promote_best` raises.
    """
    with holding(store, task, by=by) as lease:
        found = versions(registry, task)
        return _Change(registry, task, found, lease, fence, by, reason).back()


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the aliases of a task, whose lock is held."""

    registry: Registry
    task: str
    found: Sequence[Version]
    lease: Lease
    fence: Callable[[], None]
    by: str
    reason: str

    @property
    def client(self) -> MlflowClient:
        return open_client(self.registry)

    @property
    def champion(self) -> int | None:
        version = champion_of(self.found)
        return version.number if version else None

    @property
    def previous(self) -> int | None:
        return next((v.number for v in self.found if PREVIOUS in v.aliases), None)

    def best(self, chosen: Sequence[Version], limits: Thresholds) -> Promotion:
        candidates = [version for version in chosen if version.number != self.champion]
        if not candidates:
            why = "it is the champion already" if chosen else "none of the versions is there"
            return Promotion(False, self.champion, self.previous, why)
        verdicts = self._judged(candidates, limits)
        passed = [v for v in candidates if verdicts[v.number].passed]
        told = tuple(verdicts.values())
        windows = {v.facts.windows.digest if v.facts else None for v in passed}
        if len(windows) > 1:
            why = "the versions that pass were scored on different windows: they do not compare"
            return Promotion(False, self.champion, self.previous, why, told)
        if not passed:
            why = "; ".join(f"version {each.version}: {each.said}" for each in told)
            return Promotion(False, self.champion, self.previous, why, told)
        best = min(passed, key=lambda version: (_mase(version), version.number))
        cell = best.facts.cell if best.facts else "unknown cell"
        which = "is best and" if len(candidates) > 1 else "passes:"
        why = f"version {best.number} ({cell}) {which} {verdicts[best.number].said}"
        return self._promoted("promote", best.number, why, told)

    def forced(self, version: Version, limits: Thresholds) -> Promotion:
        if version.number == self.champion:
            why = "it is the champion already"
            return Promotion(False, self.champion, self.previous, why)
        verdict = self._judged([version], limits)[version.number]
        refusals = verdict.refusals
        if any(each.rule == "sound" for each in refusals):
            return Promotion(False, self.champion, self.previous, verdict.said, (verdict,))
        over = f" over the gate ({', '.join(each.rule for each in refusals)})" if refusals else ""
        why = f"version {version.number} was forced{over}: {self.reason}"
        return self._promoted("force", version.number, why, (verdict,))

    def back(self) -> Promotion:
        old, to = self.champion, self.previous
        if to is None or to == old:
            raise NotThereError(f"task {self.task!r} has no previous version to roll back to")
        (version,) = pick(self.found, [to])
        restored = dossier(self.registry, version)
        if restored.fault is not None:
            raise RegistryError(f"cannot roll back: {restored.fault}")
        then = before(history(self.client, self.task), to)
        there = {v.number for v in self.found}
        self._move(CHAMPION, to)
        if then is not None and then in there and then != to:
            self._move(PREVIOUS, then)
        else:
            then = None
            self._renew()
            self.client.delete_registered_model_alias(self.task, PREVIOUS)
        self._settle(to)
        self._note("rollback", to)
        why = f"version {to} is champion again, version {old} is not any more"
        return Promotion(True, to, then, why)

    def _judged(self, candidates: Sequence[Version], limits: Thresholds) -> dict[int, Verdict]:
        serving = champion_of(self.found)
        champion: Dossier | None = dossier(self.registry, serving) if serving else None
        verdicts = {}
        for version in candidates:
            facts = gather(dossier(self.registry, version), champion, alpha=limits.alpha)
            verdicts[version.number] = judge(facts, limits)
            note_verdict(self.client, version, verdicts[version.number])
        return verdicts

    def _promoted(
        self, action: str, number: int, why: str, verdicts: tuple[Verdict, ...]
    ) -> Promotion:
        old = self.champion
        if old is not None:
            # first: whatever happens between the two, the champion that serves is never lost
            self._move(PREVIOUS, old)
        self._move(CHAMPION, number)
        self._settle(number)
        self._note(action, number)
        return Promotion(True, number, self.previous if old is None else old, why, verdicts)

    def _move(self, alias: str, number: int) -> None:
        self._renew()
        self.client.set_registered_model_alias(self.task, alias, str(number))

    def _renew(self) -> None:
        self.lease.renew()
        self.fence()

    def _settle(self, number: int) -> None:
        """See that nobody else moved the alias; the champion challenges nobody any more."""
        client = self.client
        now = int(client.get_model_version_by_alias(self.task, CHAMPION).version)
        if now != number:
            raise RegistryError(f"somebody else made version {now} the champion of {self.task!r}")
        waiting = next((v.number for v in self.found if CHALLENGER in v.aliases), None)
        if waiting == number:
            client.delete_registered_model_alias(self.task, CHALLENGER)

    def _note(self, action: str, number: int) -> None:
        change = Change.now(action, number, self.champion, self.by, self.reason)
        note_change(self.client, self.task, change)


def _mase(version: Version) -> float:
    return version.facts.scores.get("mase", float("inf")) if version.facts else float("inf")
