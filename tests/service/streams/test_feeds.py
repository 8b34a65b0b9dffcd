"""Who is told what: listeners, the queue of each, and feeds that lag behind the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.problems import ProblemError
from service.slots import Loaded
from service.streams import feeds as module
from service.streams.arrival import Kind, Outcome
from service.streams.feeds import Event, Feeds, Listener, Reader
from tests.service.streams.versions import load, tiny

KEY = "task", "a"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder: Path = tmp_path_factory.mktemp("version") / "bundle"
    return load(folder, "task", tiny())


def events(loaded: Loaded, *places: int) -> list[Event]:
    return [Event(KEY, loaded, Outcome(Kind.APPLIED, seq, seq), seq, None) for seq in places]


def taken(listener: Listener) -> list[int]:
    found = []
    while (event := listener.next()) is not None:
        found.append(event.seq)
    return found


def test_events_are_taken_in_their_order(loaded: Loaded) -> None:
    feeds, reader = Feeds(), Reader()
    listener = feeds.listen(reader, 1, KEY, seen=4, newest=4)
    assert 1 in feeds
    feeds.publish(1, events(loaded, 5, 6), 6)
    feeds.publish(1, events(loaded, 7), 7)
    feeds.publish(2, events(loaded, 1), 1)
    assert (listener.behind, listener.missing) == (3, 0)
    assert taken(listener) == [5, 6, 7]
    assert list(reader.news) == [listener]
    assert not feeds.lagging


def test_a_listener_that_falls_behind_keeps_the_newest(loaded: Loaded) -> None:
    feeds = Feeds()
    listener = feeds.listen(Reader(), 1, KEY, seen=0, newest=0)
    for seq in range(1, 51):
        feeds.publish(1, events(loaded, seq), seq)
    assert listener.next() is None
    assert (listener.behind, listener.missing) == (50, 18)
    listener.skip_to(18)
    assert taken(listener) == list(range(19, 51))
    assert listener.behind == 0


def test_all_listeners_of_a_reader_hold_so_much_together(loaded: Loaded) -> None:
    feeds, reader = Feeds(), Reader()
    listeners = [feeds.listen(reader, stream, KEY, seen=0, newest=0) for stream in range(100)]
    for seq in range(1, 21):
        for stream in range(100):
            feeds.publish(stream, events(loaded, seq), seq)
            assert reader.held <= 256
    assert all(listener.behind == 20 for listener in listeners)
    for listener in listeners:
        feeds.leave(listener)
    assert reader.held == 0
    assert not reader.news
    assert list(feeds) == []


def test_what_the_engine_does_not_make_lets_the_feed_lag(loaded: Loaded) -> None:
    feeds = Feeds()
    listener = feeds.listen(Reader(), 1, KEY, seen=0, newest=0)
    feeds.publish(1, (), 2)
    feeds.publish(1, events(loaded, 3), 3)
    assert list(feeds.lagging) == [1]
    assert listener.behind == 0  # nothing is fetched twice
    feeds.publish(1, events(loaded, 1, 2), 2)
    assert taken(listener) == [1, 2]
    assert list(feeds.lagging) == [1]
    feeds.publish(1, events(loaded, 2, 3), 3)
    assert taken(listener) == [3]
    assert not feeds.lagging


def test_one_who_comes_while_the_feed_lags_misses_nothing(loaded: Loaded) -> None:
    feeds = Feeds()
    first = feeds.listen(Reader(), 1, KEY, seen=0, newest=0)
    feeds.publish(1, (), 5)
    from_now = feeds.listen(Reader(), 1, KEY, seen=5, newest=5)
    from_then = feeds.listen(Reader(), 1, KEY, seen=2, newest=5)
    feeds.publish(1, events(loaded, 1, 2, 3, 4, 5, 6), 6)
    assert taken(first) == [1, 2, 3, 4, 5, 6]
    assert taken(from_now) == [6]
    assert taken(from_then) == [3, 4, 5, 6]


def test_one_who_comes_back_is_behind_what_the_others_were_told(loaded: Loaded) -> None:
    feeds = Feeds()
    listener = feeds.listen(Reader(), 1, KEY, seen=3, newest=9)
    assert (listener.behind, listener.missing) == (6, 6)
    feeds.publish(1, events(loaded, 10), 10)
    assert listener.next() is None
    assert listener.missing == 6
    listener.skip_to(9)
    assert taken(listener) == [10]


def test_the_end_of_a_stream_comes_after_all_that_it_had(loaded: Loaded) -> None:
    feeds, reader = Feeds(), Reader()
    listener = feeds.listen(reader, 1, KEY, seen=0, newest=0)
    feeds.publish(1, (), 2)
    feeds.close(1, "expired")
    feeds.close(2)
    assert (listener.end, listener.behind) == ("expired", 2)
    assert not feeds.lagging


def test_every_reader_hears_that_the_service_ends() -> None:
    feeds = Feeds()
    with feeds.reading() as one, feeds.reading() as other:
        feeds.stop()
        assert one.changed.is_set()
        assert other.changed.is_set()
    assert not feeds.readers


def test_readers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_READERS", 1)
    feeds = Feeds()
    feeds.check_room()
    with feeds.reading(), pytest.raises(ProblemError) as error:
        feeds.check_room()
    assert error.value.problem.status == 503
    feeds.check_room()
