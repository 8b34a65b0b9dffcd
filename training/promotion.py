"""Which version becomes the champion, and the aliases that say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from store.conventions import CHAMPION, PREVIOUS
from training.registry import Registry, RegistryError, open_client
from training.versions import Version, pick, versions

JUDGE = "seasonal_naive"
"""The baseline that a champion must beat."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What `promote_best` did: champion and previous are the versions after it, None for none."""

    promoted: bool
    champion: int | None
    previous: int | None
    reason: str


def promote_best(registry: Registry, task: str, candidates: Iterable[int]) -> Promotion:
    """Give `champion` to the candidate of least MASE, if it beats seasonal naive.

    Both are judged on the windows that both answered. A champion scored on the candidates' windows
    is one of them; one scored on others gives way. The old champion becomes `previous`. Otherwise
    no alias is moved; the reason is told either way.
    Raises RegistryError where another writer moved the alias at the same time.
    """
    client = open_client(registry)
    every = versions(registry, task)
    champion = next((v.number for v in every if CHAMPION in v.aliases), None)
    previous = next((v.number for v in every if PREVIOUS in v.aliases), None)
    rivals = list(pick(every, candidates))
    rivals += [v for v in every if CHAMPION in v.aliases and v not in rivals and _meets(v, rivals)]
    best, reason = choose(rivals)
    if best is None:
        return Promotion(False, champion, previous, reason)
    if best == champion:
        return Promotion(False, champion, previous, f"{reason}; it is the champion already")
    if champion is not None:
        # first: whatever happens between the two, the champion that serves is never lost
        client.set_registered_model_alias(task, PREVIOUS, str(champion))
        previous = champion
    client.set_registered_model_alias(task, CHAMPION, str(best))
    found = int(client.get_model_version_by_alias(task, CHAMPION).version)
    if found != best:
        raise RegistryError(f"somebody else made version {found} the champion of {task!r}")
    return Promotion(True, best, previous, reason)


def _meets(champion: Version, rivals: Sequence[Version]) -> bool:
    """Whether the champion was scored on the windows of a rival."""
    digests = {rival.facts.windows.digest for rival in rivals if rival.facts is not None}
    return champion.facts is not None and champion.facts.windows.digest in digests


def choose(candidates: Sequence[Version]) -> tuple[int | None, str]:
    """The version to promote, None for none, and why. Pure."""
    scored = [(v, v.facts) for v in candidates if v.facts is not None and "mase" in v.facts.scores]
    if not scored:
        return None, "none of the versions has a MASE"
    if len({facts.windows.digest for _, facts in scored}) > 1:
        return None, "the versions were scored on different windows: their MASE do not compare"
    best, facts = min(scored, key=lambda each: (each[1].scores["mase"], each[0].number))
    who = f"version {best.number} ({facts.cell})"
    duel = facts.duels.get(JUDGE)
    if duel is None or duel.forecaster is None or duel.baseline is None:
        return None, f"{who} was not scored against seasonal naive"
    verdict = f"MASE {duel.forecaster:.4g} against {duel.baseline:.4g} of seasonal naive"
    if not duel.won:
        return None, f"{who} does not beat seasonal naive on the same windows: {verdict}"
    return best.number, f"{who} is best and beats seasonal naive: {verdict}"
