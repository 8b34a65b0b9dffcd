import pytest

from service.forecast_request import read_request
from service.problems import ProblemError


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ('{"model": "Task", "series": []}', "model", "a task name"),
        ('{"model": "t", "series": []}', "series", "at least 1 item"),
        ('{"model": "t"}', "series", "is required"),
        ('{"model": "t", "version": true, "series": [S]}', "version", "string"),
        ('{"model": "t", "version": "01", "series": [S]}', "version", "whole number"),
        ('{"model": "t", "version": 1, "alias": "a", "series": [S]}', "body", "exclude"),
        ('{"model": "t", "alias": "latest", "series": [S]}', "alias", "alias"),
        ('{"model": "t", "h": 0, "series": [S]}', "h", "greater than or equal to 1"),
        ('{"model": "t", "h": 2.0, "series": [S]}', "h", "valid integer"),
        ('{"model": "t", "h": true, "series": [S]}', "h", "valid integer"),
        ('{"model": "t", "level": [80, 100], "series": [S]}', "level[1]", "less than 100"),
        ('{"model": "t", "quantiles": [0], "series": [S]}', "quantiles[0]", "greater than 0"),
        ('{"model": "t", "quantiles": [], "series": [S]}', "quantiles", "at least 1 item"),
        ('{"model": "t", "level": [80], "quantiles": [0.5], "series": [S]}', "body", "exclude"),
        ('{"model": "t", "horizon": 3, "series": [S]}', "horizon", "unknown field"),
        ('{"model": "t", "series": [S, S]}', "unique_id", "occurs twice"),
        ('{"model": "t", "series": [{"unique_id": "A"}]}', "y", "is required"),
        ('{"model": "t", "series": [{"unique_id": "", "y": [1]}]}', "unique_id", "1 character"),
        ('{"model": "t", "series": [{"unique_id": "a\\n", "y": [1]}]}', "unique_id", "printable"),
        ('{"model": "t", "series": [{"unique_id": "A", "y": []}]}', "y", "at least 1 item"),
        ('{"model": "t", "series": [{"unique_id": "A", "y": [1, true]}]}', "y[1]", "number"),
        ('{"model": "t", "series": [{"unique_id": "A", "y": [1, "2"]}]}', "y[1]", "number"),
        ('{"model": "t", "series": [{"unique_id": "A", "y": [1, 1e999]}]}', "y[1]", "finite"),
        (
            '{"model": "t", "series": [{"unique_id": "A", "y": [1], "ds": [1], "start": 1}]}',
            "series",
            "exclude",
        ),
        (
            '{"model": "t", "series": [{"unique_id": "A", "y": [1, 2], "ds": [1]}]}',
            "series",
            "ds has 1 values and y 2",
        ),
        (
            '{"model": "t", "series": [{"unique_id": "A", "y": [1], "ds": [1.5]}]}',
            "ds[0]",
            "text or a whole number",
        ),
    ],
)
def test_a_body_that_is_no_request_is_refused_where_it_is_wrong(
    body: str, field: str, reason: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        read_request(body.replace("S", '{"unique_id": "A", "y": [1]}').encode(), max_series=10)
    errors = caught.value.problem.errors
    assert field in [error.field for error in errors]
    assert reason in next(error.reason for error in errors if error.field == field)


def test_more_series_than_allowed_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(ProblemError) as caught:
        read_request(b'{"series": [1, 2, 3]}', max_series=2)
    assert caught.value.problem.status == 413
