from hypothesis import given
from hypothesis import strategies as st

from service.fair_queue import FairQueue, cut

Lengths = st.lists(st.integers(1, 5000), min_size=1, max_size=60)


@given(Lengths, st.integers(1, 20_000))
def test_every_series_is_in_exactly_one_piece(lengths: list[int], most: int) -> None:
    rows = sorted(row for piece in cut("job", lengths, most) for row in piece.rows)
    assert rows == list(range(len(lengths)))


@given(Lengths, st.integers(1, 20_000))
def test_a_piece_is_bounded_unless_it_is_one_series(lengths: list[int], most: int) -> None:
    for piece in cut("job", lengths, most):
        assert piece.longest == max(lengths[row] for row in piece.rows)
        assert piece.points <= most or len(piece.rows) == 1


@given(Lengths)
def test_no_series_is_padded_to_twice_its_length(lengths: list[int]) -> None:
    for piece in cut("job", lengths, 10**9):
        assert all(2 * lengths[row] > piece.longest for row in piece.rows)


def test_requests_of_one_version_and_similar_length_share_a_batch() -> None:
    queue: FairQueue[str] = FairQueue()
    for owner in ("a", "b", "c"):
        queue.add("v1", cut(owner, [300], 1000))
    queue.add("v2", cut("other version", [300], 1000))
    queue.add("v1", cut("much shorter", [10], 1000))
    assert [piece.owner for piece in queue.take(10_000)] == ["a", "b", "c"]
    assert [piece.owner for piece in queue.take(10_000)] == ["other version"]
    assert [piece.owner for piece in queue.take(10_000)] == ["much shorter"]
    assert queue.take(10_000) == []


def test_a_batch_stays_within_its_bound() -> None:
    queue: FairQueue[int] = FairQueue()
    for owner in range(10):
        queue.add("v1", cut(owner, [300], 1000))
    assert [piece.owner for piece in queue.take(1000)] == [0, 1, 2]


def test_a_piece_larger_than_the_bound_still_runs() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("v1", cut("huge", [50_000], 1000))
    assert [piece.owner for piece in queue.take(1000)] == ["huge"]


def test_a_small_request_passes_the_tail_of_a_large_one() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("v1", cut("large", [100] * 100, 1000))
    assert [piece.owner for piece in queue.take(1000)] == ["large"]
    queue.add("v1", cut("small", [100], 1000))
    assert "small" in {piece.owner for _ in range(2) for piece in queue.take(1000)}


def test_small_requests_without_end_leave_a_large_one_its_share() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("v1", cut("large", [100] * 1000, 1000))
    small = large = 0
    for _ in range(400):
        queue.add("v1", cut("small", [100], 1000))
        batch = queue.take(1000)
        small += sum(piece.points for piece in batch if piece.owner == "small")
        large += sum(piece.points for piece in batch if piece.owner == "large")
    assert 0.5 < small / large < 2


def test_what_waits_is_counted() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("v1", cut("a", [100, 90, 10], 10_000))
    queue.add("v1", cut("b", [100], 10_000))
    assert (len(queue), queue.points) == (3, 310)
    queue.drop("a")
    assert (len(queue), queue.points) == (1, 100)
    queue.take(1000)
    assert (len(queue), queue.points) == (0, 0)


def test_a_request_that_left_leaves_its_neighbours() -> None:
    queue: FairQueue[str] = FairQueue()
    for owner in ("a", "b", "c"):
        queue.add("v1", cut(owner, [300], 1000))
    queue.drop("b")
    assert [piece.owner for piece in queue.take(10_000)] == ["a", "c"]
