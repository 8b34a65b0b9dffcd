import orjson

from service.problems import MAX_FAULTS, MEDIA_TYPE, Fault, fault_of, invalid, problem, response


def test_a_problem_has_what_rfc_9457_asks() -> None:
    answer = response(problem(413, "too-large", "more than 3 series"))
    assert answer.media_type == MEDIA_TYPE == "application/problem+json"
    assert orjson.loads(answer.body) == {
        "type": "urn:gatecast:problem:too-large",
        "title": "Content Too Large",
        "status": 413,
        "detail": "more than 3 series",
    }


def test_a_status_that_says_it_all_has_no_type() -> None:
    assert orjson.loads(response(problem(405)).body) == {
        "type": "about:blank",
        "title": "Method Not Allowed",
        "status": 405,
    }


def test_of_many_faults_the_first_are_named_and_all_counted() -> None:
    error = invalid([Fault(field=f"y[{i}]", reason="no number") for i in range(1000)])
    assert len(error.problem.errors) == MAX_FAULTS
    assert error.problem.detail == "1000 faults, of which the first 20 are named"
    assert len(response(error).body) < 2000


def test_a_fault_is_located_by_series_and_field() -> None:
    error = {"type": "float_type", "loc": ("series", 3, "exog", "price", 7), "msg": "no"}
    assert fault_of(error, {3: "H4"}) == Fault(
        field="exog.price[7]", reason="no", series="H4", index=3
    )


def test_of_a_union_the_branches_are_not_shown() -> None:
    error = {"type": "string_type", "loc": ("series", 0, "ds", 7, "str"), "msg": "no text"}
    assert fault_of(error, {}).field == "ds[7]"
    assert fault_of(error, {}).reason == "must be text or a whole number"


def test_what_is_no_plain_name_is_not_echoed() -> None:
    for name in ("<script>", "a" * 65, "x\ny", "\ud800", ""):
        error = {"type": "extra_forbidden", "loc": ("series", 0, name), "msg": "Extra inputs"}
        assert fault_of(error, {}) == Fault(field="?", reason="unknown field", index=0)


def test_a_long_name_of_a_series_is_cut() -> None:
    error = {"type": "missing", "loc": ("series", 0, "y"), "msg": "Field required"}
    fault = fault_of(error, {0: "x" * 1000})
    assert fault.series is not None
    assert len(fault.series) == 64
