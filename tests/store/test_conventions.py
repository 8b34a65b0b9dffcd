from collections.abc import Callable

import pytest

from store.conventions import alias_name, task_name, version_name


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (task_name, "co2"),
        (task_name, "load-hourly"),
        (task_name, "0.1_b"),
        (task_name, "a" * 64),
        (version_name, "1"),
        (version_name, "123456789"),
        (alias_name, "champion"),
        (alias_name, "v1b"),
    ],
)
def test_a_fitting_name_is_returned(check: Callable[[str], str], text: str) -> None:
    assert check(text) == text


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (task_name, ""),
        (task_name, "a" * 65),
        (task_name, ".."),
        (task_name, "a..b"),
        (task_name, ".hidden"),
        (task_name, "-option"),
        (task_name, "a/b"),
        (task_name, "a\\b"),
        (task_name, "Load"),
        (task_name, "a\n"),
        (task_name, "ä"),
        (task_name, "a\x00"),
        (version_name, "0"),
        (version_name, "01"),
        (version_name, "-1"),
        (version_name, "1\n"),
        (version_name, "1.0"),
        (version_name, "\u0661"),
        (version_name, "1234567890"),
        (alias_name, "latest"),
        (alias_name, "v12"),
        (alias_name, "1a"),
        (alias_name, "a b"),
        (alias_name, ""),
    ],
)
def test_a_name_that_could_mean_something_else_is_refused(
    check: Callable[[str], str], text: str
) -> None:
    with pytest.raises(ValueError, match=r"name|version|alias"):
        check(text)
