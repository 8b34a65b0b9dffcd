from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.strict_json import canonical, parse

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


def parsed(text: str | bytes, **limits: Any) -> Any:
    data = text.encode() if isinstance(text, str) else text
    return parse(data, **({"max_bytes": 10_000} | limits))


@given(VALUES)
def test_what_was_spelled_canonically_reads_back(value: Any) -> None:
    assert parse(canonical(value), max_bytes=10**6, max_depth=64) == value


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(), min_size=2))
def test_the_canonical_spelling_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


@given(st.binary(max_size=100))
def test_whatever_the_bytes_only_a_value_error_comes_out(data: bytes) -> None:
    try:
        value = parsed(data)
    except ValueError:
        return
    assert value == json.loads(data)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "'a' occurs twice"),
        ('[{"a": {"b": 1, "b": 1}}]', "'b' occurs twice"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "overflows"),
        ("-1e999", "overflows"),
        ("9" * 5000, "digits"),
        (b'"\xff"', "UTF-8"),
        ("[" * 17 + "]" * 17, "deeper than 16"),
        ("[" * 9000, "deeper than 16"),
        (" " * 10_001, "10001 bytes"),
        ("[1, 2", "delimiter"),
        ("", "Expecting value"),
    ],
)
def test_what_has_no_one_meaning_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parsed(text)


def test_brackets_in_text_are_no_nesting() -> None:
    text = '["' + "[{" * 500 + '\\"[[["]'
    assert parsed(text) == json.loads(text)


def test_containers_are_counted_before_they_are_built() -> None:
    assert len(parsed("[" + "[]," * 9 + "[]]", max_containers=11)) == 10
    with pytest.raises(ValueError, match="more than 10"):
        parsed("[" + "[]," * 9 + "[]]", max_containers=10)


@pytest.mark.timeout(60)  # a search of all keys for each of them takes many minutes
def test_a_repeated_key_behind_very_many_others_is_found_without_delay() -> None:
    keys = ",".join(f'"k{number}":0' for number in range(200_000))
    with pytest.raises(ValueError, match="'k199999' occurs twice"):
        parsed(f'{{{keys},"k199999":0}}', max_bytes=10_000_000)
