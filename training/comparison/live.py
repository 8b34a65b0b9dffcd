"""What served versions did: live scores from the store, as a comparison shows them."""

from __future__ import annotations

from contextlib import closing

from store.database import open_database
from store.errors import StoreError
from store.scores import read_scores, total
from training.comparison.head_to_head import Live


def live_scores(store: str, task: str) -> Live:
    """Means over all leads of the forecasts that were served and scored, by version.

    store: URL. Nothing where the store cannot be had: a comparison does without.
    """
    try:
        with closing(open_database(store)) as database, database.reading() as connection:
            sums = total(read_scores(connection, task))
    except StoreError:
        return {}
    found: dict[int, dict[str, float]] = {}
    for number in {version for version, _ in sums if version.isdecimal()}:
        mine = [each for (version, _), each in sums.items() if version == number]
        count = sum(each.scored for each in mine)
        if not count:
            continue
        means = {
            "forecasts": float(count),
            "scaled_error": sum(each.scaled_error for each in mine) / count,
            "quantile_loss": sum(each.quantile_loss for each in mine) / count,
        }
        for name in ("covered_80", "covered_95"):
            shares = [getattr(each, name) for each in mine]
            if None not in shares:
                means[name.replace("covered", "coverage")] = sum(shares) / count
        found[int(number)] = means
    return found
