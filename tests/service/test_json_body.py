import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.json_body import MAX_CONTAINERS, MAX_KEYS, read_json
from service.problems import ProblemError

Json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(Json)
def test_json_is_read_as_python_reads_it(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b"{'a': 1}", 400, "no JSON"),
        (b"[1] 2", 400, "no JSON"),
        (b"\xef\xbb\xbf{}", 400, "no JSON"),
        (b'"\xff"', 400, "not UTF-8 at byte 1"),
        ('{"a": 1}'.encode("utf-16"), 400, "not UTF-8"),
        (b"[" * 50_000, 400, "nested too deeply"),
        (b'{"a":' * 20_000, 400, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", 400, "too many digits"),
        (b"[NaN]", 422, "NaN is no JSON number"),
        (b"[-Infinity]", 422, "-Infinity is no JSON number"),
        (b'{"a": 1, "a": 1}', 422, "same key twice"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', 422, "same key twice"),
        (b"[" + b"[]," * MAX_CONTAINERS + b"[]]", 413, "JSON arrays and objects"),
        (
            json.dumps({str(key): 0 for key in range(MAX_KEYS + 1)}).encode(),
            422,
            "more than 1000 keys",
        ),
    ],
)
def test_a_body_that_is_not_one_json_value_is_refused(
    body: bytes, status: int, reason: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        read_json(body)
    problem = caught.value.problem
    assert problem.status == status
    assert reason in " ".join([problem.detail or "", *(fault.reason for fault in problem.errors)])


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_problem(body: bytes) -> None:
    with contextlib.suppress(ProblemError):
        read_json(body)
