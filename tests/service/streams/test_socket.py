"""Many streams over one socket: what is sent, what is answered, and what a client may not do."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import httpx
import pytest

from store.settings import Settings
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import ready, running
from tests.service.streams.listening import heard, observe, opened, same, streams
from tests.service.streams.sockets import Said, client, row


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        var=tmp_path_factory.mktemp("sockets"), port=0, log_level="error", header_seconds=1.0
    )
    EmbeddedRegistry(settings).register("steps", spec(timeline=COUNTED))
    with running(settings) as base:
        ready(base)
        yield base


@pytest.fixture(scope="module")
def url(base: str) -> str:
    return streams(base)


def test_observations_are_acknowledged_one_by_one(base: str, url: str) -> None:
    opened(url, "acks")
    with client(base) as it:
        bad = {"unique_id": "acks", "ds": 1}
        rows = [row("acks", 0), row("nobody", 0), bad, row("acks", 0), row("acks", 0, 9.0)]
        answer = it.ask(observe=[*rows, row("acks", 2)], id="first")
        assert answer["ack"] == "first"
        results = answer["results"]
        assert [result["status"] for result in results] == [200, 404, 422, 200, 409, 200]
        assert [result.get("position") for result in results] == [1, None, None, 1, None, 2]
        assert [results[place]["duplicate"] for place in (0, 3, 5)] == [False, True, False]
        assert results[5]["missing"] == 1
        assert it.ask(observe=[row("acks", 3, None)]) == {
            "ack": None,
            "results": [results[5] | {"ds": 3, "position": 3, "missing": 0}],
        }
    assert httpx.get(f"{url}/acks").json()["observations"] == 3


def test_events_are_those_of_the_other_transport(base: str, url: str) -> None:
    opened(url, "both")
    observe(url, "both", 0, 1)
    with client(base) as it:
        said = it.subscribe("both")
        assert said == {"subscribed": [{"unique_id": "both", "position": 2, "newest": 2}]}
        observe(url, "both", 2, 3)
        for one, other in zip(it.events(2), heard(url, "both", 2, 2), strict=True):
            same(one, other)
        it.subscribe("both", after=1, h=2, level=[80])
        events = it.events(3)
        assert [event["position"] for event in events] == [2, 3, 4]
        assert list(events[0]["forecast"]) == ["ds", "mean", "lo-80", "hi-80"]
        assert len(events[0]["forecast"]["mean"]) == 2
        assert it.ask(unsubscribe=["both", "nobody"]) == {"unsubscribed": ["both"]}
        observe(url, "both", 4)
        it.hear_nothing()


def test_many_streams_share_a_socket(base: str, url: str) -> None:
    names = [f"many-{place}" for place in range(50)]
    for name in names:
        opened(url, name)
    with client(base) as it:
        said = it.subscribe(*names, "nobody")
        assert said["unique_id"] == "nobody"
        assert said["error"]["status"] == 404
        assert len(it.hear()["subscribed"]) == 50
        it.say(credit=1_000)
        it.say(observe=[row(name, step) for step in range(3) for name in names], id="x")
        heard_of: dict[str, list[int]] = {name: [] for name in names}
        acks = 0
        for _ in range(151):
            said = it.hear()
            if "ack" in said:
                acks += 1
            else:
                heard_of[said["event"]["unique_id"]].append(said["event"]["position"])
    assert acks == 1
    assert all(positions == [1, 2, 3] for positions in heard_of.values())


def test_without_credit_only_the_newest_event_is_kept(base: str, url: str) -> None:
    opened(url, "slow")
    with client(base) as it:
        it.subscribe("slow")
        observe(url, "slow", *range(16))
        assert [event["position"] for event in it.events(16)] == list(range(1, 17))
        observe(url, "slow", 16)
        observe(url, "slow", *range(17, 30))
        it.hear_nothing()
        said = it.ask(credit=5)
        assert said["event"]["position"] == 30
        assert said["dropped"] == 13
        observe(url, "slow", 30)
        said = it.hear()
        assert said["event"]["position"] == 31
        assert "dropped" not in said


def test_acknowledgements_need_no_credit(base: str, url: str) -> None:
    opened(url, "acked")
    with client(base) as it:
        it.subscribe("acked")
        for step in range(40):
            it.say(observe=[row("acked", step)], id=str(step))
        acks: list[str] = []
        events: list[int] = []
        while len(acks) < 40:
            said = it.hear()
            if "ack" in said:
                acks.append(said["ack"])
            else:
                events.append(said["event"]["position"])
        assert acks == [str(step) for step in range(40)]
        assert events == list(range(1, 17))


def test_who_says_where_it_was_gets_every_event(base: str, url: str) -> None:
    opened(url, "every")
    with client(base) as it:
        it.subscribe("every", after=0)
        observe(url, "every", *range(100))
        assert [event["position"] for event in it.events(16)] == list(range(1, 17))
        it.hear_nothing()
        it.say(credit=4)
        assert [event["position"] for event in it.events(4)] == [17, 18, 19, 20]
        it.hear_nothing()
        it.say(credit=1_000)
        assert [event["position"] for event in it.events(80)] == list(range(21, 101))


def test_of_too_many_events_the_oldest_are_skipped(base: str, url: str) -> None:
    opened(url, "skipped")
    observe(url, "skipped", *range(1_010))
    with client(base) as it:
        it.subscribe("skipped", after=3)
        assert it.hear() == {"skipped": {"unique_id": "skipped", "count": 7}}
        assert it.events(1)[0]["position"] == 11


def test_a_stream_that_is_closed_says_so(base: str, url: str) -> None:
    opened(url, "over")
    observe(url, "over", 0)
    with client(base) as it:
        it.subscribe("over")
        httpx.delete(f"{url}/over")
        over = {"closed": {"unique_id": "over", "reason": "closed"}}
        assert it.hear() == over
        assert it.subscribe("over")["error"]["status"] == 410
        it.subscribe("over", after=0)
        assert it.events(1)[0]["position"] == 1
        assert it.hear() == over


def test_one_streams_observations_keep_their_order(base: str, url: str) -> None:
    opened(url, "order")
    with client(base) as it:
        for step in range(0, 60, 3):
            it.say(observe=[row("order", step + more) for more in range(3)], id=str(step))
        for step in range(0, 60, 3):
            said = it.hear()
            assert said["ack"] == str(step)
            assert [each["position"] for each in said["results"]] == [step + 1, step + 2, step + 3]


def test_an_event_that_the_stream_has_not_got_is_refused(base: str, url: str) -> None:
    opened(url, "ahead")
    with client(base) as it:
        said = it.subscribe("ahead", after=1)
        assert (said["error"]["status"], said["unique_id"]) == (422, "ahead")


@pytest.mark.slow
def test_clients_that_come_back_at_100_random_points_miss_nothing(base: str, url: str) -> None:
    moments = random.Random(5)  # noqa: S311 - when to hang up, no secret
    opened(url, "random", rewind=3)
    total = 600

    def feed() -> None:
        step = 0
        with client(base) as it:
            while step < total:
                count = min(moments.choice((1, 1, 1, 4, 20)), total - step)
                steps = list(range(step, step + count))
                if count == 4:  # one of them late
                    steps = [steps[0], steps[2], steps[1], steps[3]]
                said = it.ask(observe=[row("random", each, each % 7 + 0.5) for each in steps])
                assert all(each["status"] == 200 for each in said["results"])
                step += count

    feeding = threading.Thread(target=feed)
    feeding.start()
    events: list[Said] = []
    breaks = 0
    hang_up = random.Random(6)  # noqa: S311
    while len(events) < total:
        count = min(hang_up.randint(1, 9), total - len(events))
        with client(base) as it:
            it.subscribe("random", after=len(events))
            events += it.events(count)
        breaks += 1
    feeding.join()
    assert breaks >= 100
    assert [event["position"] for event in events] == list(range(1, total + 1))
    for one, other in zip(events, heard(url, "random", 0, total), strict=True):
        same(one, other)
