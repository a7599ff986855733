"""CloudWatch Logs: pages, orders, tokens, and lines that come late."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.local.filter_pattern import FilterPattern
from airflow_batch_jobs.local.pages import list_id
from tests.local.documented import needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local import LocalAws

GROUP = "/aws/batch/job"


@pytest.fixture
def stream_of(frozen_aws: LocalAws) -> Callable[..., str]:
    """Start a scripted job, let it come to RUNNING, and name its log stream."""
    frozen_aws.register("align")

    def make(**script: Any) -> str:
        frozen_aws.script(definition="align", submitted=0, pending=0, runnable=0, starting=0, **script)
        [job_id] = frozen_aws.submit("align:1")
        frozen_aws.advance(0)
        name: str = frozen_aws.job(job_id)["container"]["logStreamName"]
        return name

    return make


def pages(logs: Any, operation: str = "filter_log_events", **how: Any) -> list[list[dict[str, Any]]]:
    """Return the events of all pages, page by page."""
    found = logs.get_paginator(operation).paginate(logGroupName=GROUP, **how)
    return [page["events"] for page in found]


def messages(logs: Any, **how: Any) -> list[str]:
    """Return the messages of all pages of FilterLogEvents."""
    return [event["message"] for page in pages(logs, **how) for event in page]


def test_lines_appear_when_their_time_has_come(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """A hundred lines over a hundred seconds: one each second, with its own time."""
    name = stream_of(running=100, lines=100)
    start = round(frozen_aws.now() * 1000)
    frozen_aws.advance(2)
    [[*events]] = pages(frozen_logs, logStreamNames=[name])
    assert [(event["message"], event["timestamp"] - start) for event in events] == [
        ("line 1", 0),
        ("line 2", 1000),
        ("line 3", 2000),
    ]
    frozen_aws.advance(1000)
    assert messages(frozen_logs, logStreamNames=[name]) == [f"line {number}" for number in range(1, 101)]


def test_explicit_lines_have_their_own_times(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """In any order; a timestamp may be ahead of the clock."""
    lines = {"texts": ["c", "a", "b"], "offsets": [3, 0.5, 0.5], "ahead_seconds": 3600}
    name = stream_of(running=10, lines=lines)
    start = round(frozen_aws.now() * 1000)
    frozen_aws.advance(2)
    assert messages(frozen_logs, logStreamNames=[name]) == ["a", "b"]
    frozen_aws.advance(2)
    [[*events]] = pages(frozen_logs, logStreamNames=[name])
    assert [(event["message"], event["timestamp"] - start) for event in events] == [
        ("a", 3_600_500),
        ("b", 3_600_500),
        ("c", 3_603_000),
    ]


def test_a_line_says_whose_it_is(frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]) -> None:
    """Its text may name the job, the attempt and the stream."""
    name = stream_of(lines={"count": 1, "text": "{number} {job_name} {attempt} {stream} {job_id}"})
    [job] = frozen_aws.jobs()
    assert messages(frozen_logs, logStreamNames=[name]) == [f"1 align 1 {name} {job['jobId']}"]


def test_a_stream_is_unknown_until_it_exists(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """First the group, then the stream; all three operations say so."""
    not_found = frozen_logs.exceptions.ResourceNotFoundException
    with pytest.raises(not_found, match="log group does not exist"):
        pages(frozen_logs, logStreamNames=["x"])
    stream_of(running=1, lines=1)
    with pytest.raises(not_found, match="log stream does not exist"):
        pages(frozen_logs, logStreamNames=["x"])
    with pytest.raises(not_found, match="log stream does not exist"):
        frozen_logs.get_log_events(logGroupName=GROUP, logStreamName="x")
    with pytest.raises(not_found, match="log group does not exist"):
        frozen_logs.describe_log_streams(logGroupName="x")
    assert frozen_aws.counts()["FilterLogEvents"] == 2


def test_events_of_several_streams_come_in_one_order(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """By timestamp, then by ingestion, on whatever page they are; each has an id of its own."""
    names = [stream_of(running=10, lines=50, delivery={"spread": 3.0, "seed": seed}) for seed in range(5)]
    frozen_aws.advance(100)
    found = pages(frozen_logs, logStreamNames=names, PaginationConfig={"PageSize": 7})
    events = [event for page in found for event in page]
    assert [len(page) for page in found] == [7] * 35 + [5]
    assert [(event["timestamp"], event["ingestionTime"]) for event in events] == sorted(
        (event["timestamp"], event["ingestionTime"]) for event in events
    )
    assert len({event["eventId"] for event in events}) == 250
    assert {len(event["eventId"]) for event in events} == {56}


@needs("logs", "FilterLogEvents", "startFromHead")
def test_the_newest_events_can_come_first(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """startFromHead=false turns the order round, over all pages; the token keeps the direction."""
    names = [stream_of(running=10, lines=10), stream_of(running=10, lines=10)]
    frozen_aws.advance(100)
    since: dict[str, Any] = {"logStreamNames": names, "startTime": 1_704_067_200_000}
    forward = [event["eventId"] for page in pages(frozen_logs, **since) for event in page]
    first = frozen_logs.filter_log_events(logGroupName=GROUP, startFromHead=False, limit=15, **since)
    second = frozen_logs.filter_log_events(logGroupName=GROUP, nextToken=first["nextToken"], **since)
    assert [event["eventId"] for event in first["events"] + second["events"]] == forward[::-1]
    with pytest.raises(frozen_logs.exceptions.InvalidParameterException, match="startFromHead"):
        frozen_logs.filter_log_events(logGroupName=GROUP, logStreamNames=names, startFromHead=False)


def test_a_window_includes_its_end_in_filter_and_excludes_it_in_get(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """The start is included in both."""
    name = stream_of(running=10, lines=10)
    start = round(frozen_aws.now() * 1000)
    frozen_aws.advance(100)
    window = {"startTime": start + 2000, "endTime": start + 4000}
    assert messages(frozen_logs, logStreamNames=[name], **window) == ["line 3", "line 4", "line 5"]
    got = frozen_logs.get_log_events(logGroupName=GROUP, logStreamName=name, **window)["events"]
    assert [event["message"] for event in got] == ["line 3", "line 4"]


def test_a_page_holds_ten_thousand_events_or_a_megabyte(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """Whichever is less; the next page has the rest."""
    many = stream_of(running=1, lines=15_000)
    large = stream_of(running=1, lines={"count": 5, "text": "x" * 500_000})
    frozen_aws.advance(100)
    assert [len(page) for page in pages(frozen_logs, logStreamNames=[many])] == [10_000, 5000]
    assert [len(page) for page in pages(frozen_logs, logStreamNames=[large])] == [2, 2, 1]
    got = frozen_logs.get_log_events(logGroupName=GROUP, logStreamName=large, startFromHead=True)["events"]
    assert len(got) == 2


def test_late_lines_are_readable_late(frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]) -> None:
    """A constant delay; ingestionTime shows it."""
    name = stream_of(running=10, lines=10, delivery=5)
    frozen_aws.advance(7)
    [[*events]] = pages(frozen_logs, logStreamNames=[name])
    assert [event["message"] for event in events] == ["line 1", "line 2", "line 3"]
    assert {event["ingestionTime"] - event["timestamp"] for event in events} == {5000}


def test_a_stalled_stream_delivers_everything_at_once(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """What was to come during the stall comes at its end, with its own timestamps."""
    name = stream_of(running=100, lines=100, delivery={"stalled_from": 10, "stalled_until": 60})
    frozen_aws.advance(59)
    assert len(messages(frozen_logs, logStreamNames=[name])) == 10
    frozen_aws.advance(1)
    assert messages(frozen_logs, logStreamNames=[name]) == [f"line {number}" for number in range(1, 62)]


def test_lines_with_random_delays_overtake_each_other_the_same_way_each_time(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """Some line is readable before an older one; in the end all are there."""
    name = stream_of(running=20, lines=20, delivery={"spread": 10})
    frozen_aws.advance(10)
    early = messages(frozen_logs, logStreamNames=[name])
    assert messages(frozen_logs, logStreamNames=[name]) == early
    in_order = [f"line {number}" for number in range(1, 21)]
    assert 0 < len(early) < 10
    assert early != in_order[: len(early)]
    frozen_aws.advance(30)
    assert messages(frozen_logs, logStreamNames=[name]) == in_order


def test_streams_can_be_chosen_by_prefix(frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]) -> None:
    """Or not at all; names and a prefix exclude each other."""
    first, second = stream_of(running=1, lines=["a"]), stream_of(running=1, lines=["b"])
    frozen_aws.advance(1)
    assert messages(frozen_logs, logStreamNamePrefix=first) == ["a"]
    assert sorted(messages(frozen_logs)) == ["a", "b"]
    with pytest.raises(frozen_logs.exceptions.InvalidParameterException, match="together"):
        messages(frozen_logs, logStreamNamePrefix=first, logStreamNames=[second])


def test_get_log_events_begins_at_the_tail(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """Oldest first within the page; the backward token leads to the page before."""
    name = stream_of(running=10, lines=10)
    frozen_aws.advance(100)
    where = {"logGroupName": GROUP, "logStreamName": name, "limit": 4}
    page = frozen_logs.get_log_events(**where)
    assert [event["message"] for event in page["events"]] == ["line 7", "line 8", "line 9", "line 10"]
    page = frozen_logs.get_log_events(**where, nextToken=page["nextBackwardToken"])
    assert [event["message"] for event in page["events"]] == ["line 3", "line 4", "line 5", "line 6"]


def test_the_end_of_a_stream_is_the_same_forward_token_again(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """Until there is more; then it goes on behind what was read."""
    name = stream_of(running=10, lines=10)
    where = {"logGroupName": GROUP, "logStreamName": name, "startFromHead": True}
    frozen_aws.advance(2)
    first = frozen_logs.get_log_events(**where)
    again = frozen_logs.get_log_events(**where, nextToken=first["nextForwardToken"])
    assert (again["events"], again["nextForwardToken"]) == ([], first["nextForwardToken"])
    frozen_aws.advance(2)
    more = frozen_logs.get_log_events(**where, nextToken=first["nextForwardToken"])
    assert [event["message"] for event in first["events"] + more["events"]] == [f"line {n}" for n in range(1, 6)]


def test_an_empty_stream_has_tokens_all_the_same(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """The first line comes behind them."""
    name = stream_of(running=10, lines={"texts": ["first"], "offsets": [5]})
    where = {"logGroupName": GROUP, "logStreamName": name, "startFromHead": True}
    empty = frozen_logs.get_log_events(**where)
    assert empty["events"] == []
    frozen_aws.advance(5)
    [event] = frozen_logs.get_log_events(**where, nextToken=empty["nextForwardToken"])["events"]
    assert event["message"] == "first"


def test_streams_are_described_with_the_times_of_their_events(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """By name, or by their last event; a page at a time."""
    names = [stream_of(running=10, lines=10) for _ in range(3)]
    start = round(frozen_aws.now() * 1000)
    frozen_aws.advance(100)
    first = frozen_logs.describe_log_streams(logGroupName=GROUP, limit=2)
    second = frozen_logs.describe_log_streams(logGroupName=GROUP, nextToken=first["nextToken"])
    shown = first["logStreams"] + second["logStreams"]
    assert [one["logStreamName"] for one in shown] == sorted(names)
    assert {(one["firstEventTimestamp"], one["lastEventTimestamp"]) for one in shown} == {(start, start + 9000)}
    arn = f"arn:aws:logs:{frozen_aws.region}:{frozen_aws.account}:log-group:{GROUP}"
    assert {one["arn"] for one in shown} == {f"{arn}:log-stream:{name}" for name in names}
    found = frozen_logs.describe_log_streams(logGroupIdentifier=arn)["logStreams"]
    assert len(found) == 3
    newest = frozen_logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True)
    assert len(newest["logStreams"]) == 3
    with pytest.raises(frozen_logs.exceptions.ResourceNotFoundException):
        frozen_logs.describe_log_streams(logGroupIdentifier=arn.replace(frozen_aws.account, "210987654321"))
    with pytest.raises(frozen_logs.exceptions.InvalidParameterException, match="Value at 'logGroupIdentifier' failed"):
        frozen_logs.describe_log_streams(logGroupIdentifier=f"{arn}:*")
    invalid = frozen_logs.exceptions.InvalidParameterException
    with pytest.raises(invalid, match=r"Value 'sth' at 'orderBy' .* enum value set: \[LogStreamName, LastEventTime\]"):
        frozen_logs.describe_log_streams(logGroupName=GROUP, orderBy="sth")
    with pytest.raises(invalid, match=r"Value '51' at 'limit' .* less than or equal to 50"):
        frozen_logs.describe_log_streams(logGroupName=GROUP, limit=51)
    with pytest.raises(invalid, match="Cannot order by LastEventTime with a logStreamNamePrefix"):
        frozen_logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="x")


def test_streams_that_are_written_to_stay_in_the_pages_of_a_list_by_time(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """All pages show the order of the first one's time, whoever has the newest event by then."""
    names = [stream_of(running=100, lines={"texts": ["a", "b"], "offsets": [0, 20]})]
    for _ in range(2):
        frozen_aws.advance(2)
        names.append(stream_of(running=100, lines=["a"]))
    asked: dict[str, Any] = {"logGroupName": GROUP, "orderBy": "LastEventTime", "descending": True, "limit": 2}
    first = frozen_logs.describe_log_streams(**asked)
    frozen_aws.advance(60)
    second = frozen_logs.describe_log_streams(**asked, nextToken=first["nextToken"])
    assert [one["logStreamName"] for page in (first, second) for one in page["logStreams"]] == names[::-1]
    assert "nextToken" not in second


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"logStreamNames": ["x"] * 101}, "100"),
        ({"limit": 10_001}, "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: "),
        ({"limit": 10_001}, "Member must have value less than or equal to 10000"),
        ({"nextToken": "nonsense"}, "nextToken"),
        ({"filterPattern": '{ $.level = "ERROR" }'}, "Invalid filter pattern: .* JSON patterns"),
        ({"filterPattern": "[ip, user]"}, "space-delimited"),
        ({"filterPattern": "%ERR|WARN%"}, "regular expression"),
        ({"filterPattern": "some@where"}, "Invalid character\\(s\\) in term 'some@where'"),
        ({"filterPattern": '""'}, "Invalid character\\(s\\) in term"),
        ({"filterPattern": '"open'}, "Invalid character\\(s\\) in term"),
        ({"filterPattern": "x" * 1025}, "less than or equal to 1024"),
        ({"logGroupIdentifier": "x"}, "Exactly one"),
    ],
)
def test_a_wrong_request_is_an_invalid_parameter(
    frozen_logs: Any, stream_of: Callable[..., str], given: dict[str, Any], problem: str
) -> None:
    """Named as CloudWatch names it."""
    stream_of(running=1, lines=1)
    with pytest.raises(frozen_logs.exceptions.InvalidParameterException, match=problem):
        frozen_logs.filter_log_events(logGroupName=GROUP, **given)


MESSAGES = ["ERROR 401 denied", "WARN disk", "error 401", "INFO all is well", 'said "no": 100%', "MyERROR"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", MESSAGES),
        ("  ", MESSAGES),
        ("ERROR", [MESSAGES[0], MESSAGES[5]]),
        ("401 ERROR", [MESSAGES[0]]),
        ('"ERROR 401"', [MESSAGES[0]]),
        ('"401 ERROR"', []),
        ("401 -ERROR", [MESSAGES[2]]),
        ("-ERROR -error", [MESSAGES[1], MESSAGES[3], MESSAGES[4]]),
        ("?WARN ?error", [MESSAGES[1], MESSAGES[2]]),
        ('?"all is" ?denied', [MESSAGES[0], MESSAGES[3]]),
        ("?WARN 401", [MESSAGES[0], MESSAGES[2]]),
        ('-"401 denied" 401', [MESSAGES[2]]),
        ('"\\"no\\": 100%"', [MESSAGES[4]]),
    ],
)
def test_a_filter_pattern_finds_terms_and_phrases(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str], pattern: str, found: list[str]
) -> None:
    """All plain terms, none after a minus, one of those after a question mark; on whatever page they are."""
    stream_of(running=6, lines=MESSAGES)
    frozen_aws.advance(10)
    assert messages(frozen_logs, filterPattern=pattern, PaginationConfig={"PageSize": 1}) == found
    start = round(frozen_aws.now() * 1000)
    assert messages(frozen_logs, filterPattern=pattern, startTime=start) == []


@given(st.text())
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    """With a ValueError, which is answered as an invalid parameter; a quoted text is found as it is."""
    with contextlib.suppress(ValueError):
        FilterPattern.parse(text).matches(text)
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if text:
        assert FilterPattern.parse(quoted).matches(f"x{text}y")
        assert not FilterPattern.parse(f"-{quoted}").matches(f"x{text}y")


def test_old_parameters_of_filter_log_events_change_nothing(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """Interleaved is always so, nothing is masked, and no stream is reported as searched."""
    names = [stream_of(running=4, lines=["a", "b"]), stream_of(running=4, lines=["c", "d"])]
    frozen_aws.advance(10)
    asked: dict[str, Any] = {"logGroupName": GROUP, "logStreamNames": names}
    plain = frozen_logs.filter_log_events(**asked)
    for more in ({"interleaved": False}, {"interleaved": True}, {"unmask": True}):
        answer = frozen_logs.filter_log_events(**asked, **more)
        assert (answer["events"], answer["searchedLogStreams"]) == (plain["events"], [])
    assert len(plain["events"]) == 4


def test_a_token_of_get_log_events_must_be_one(frozen_logs: Any, stream_of: Callable[..., str]) -> None:
    """Anything else is an invalid parameter."""
    name = stream_of(running=1, lines=1)
    invalid = frozen_logs.exceptions.InvalidParameterException
    for token in ("nonsense", "f/x/y", "g/1/2/3/4", "f", "f/", "b/x", "f/1", "f/-1/2/3/4", "f/1/2/3/4/5", "f/1/2/3/ 4"):
        with pytest.raises(invalid, match="nextToken"):
            frozen_logs.get_log_events(logGroupName=GROUP, logStreamName=name, nextToken=token)


def test_a_token_of_another_stream_or_group_is_refused(
    frozen_aws: LocalAws, frozen_logs: Any, stream_of: Callable[..., str]
) -> None:
    """It leads to nothing there; the other windows of the same streams are the same list."""
    one, other = stream_of(running=1, lines=3), stream_of(running=1, lines=3)
    empty = [stream_of(running=1, lines=[]) for _ in range(2)]
    frozen_aws.advance(30)
    invalid = frozen_logs.exceptions.InvalidParameterException
    where: dict[str, Any] = {"logGroupName": GROUP, "limit": 1}

    token = frozen_logs.filter_log_events(**where, logStreamNames=[one])["nextToken"]
    assert frozen_logs.filter_log_events(**where, logStreamNames=[one], startTime=1, nextToken=token)["events"]
    for selection in ({"logStreamNames": [other]}, {"logStreamNames": [one], "filterPattern": "1"}, {}):
        with pytest.raises(invalid, match="nextToken"):
            frozen_logs.filter_log_events(**where, **selection, nextToken=token)
    for name, wrong in ((one, other), (other, one), (empty[0], empty[1])):
        pages = frozen_logs.get_log_events(**where, logStreamName=name)
        for token in (pages["nextForwardToken"], pages["nextBackwardToken"]):
            frozen_logs.get_log_events(**where, logStreamName=name, nextToken=token)
            with pytest.raises(invalid, match="nextToken"):
                frozen_logs.get_log_events(**where, logStreamName=wrong, nextToken=token)
    token = frozen_logs.describe_log_streams(**where)["nextToken"]
    with pytest.raises(invalid, match="nextToken"):
        frozen_logs.describe_log_streams(**where, descending=True, nextToken=token)


@pytest.mark.parametrize("place", ['[false, ["a", 1, 2, 3]]', "[false, 5]", "[false, [1]]", "{}", "[" * 9999])
@pytest.mark.parametrize("operation", ["filter_log_events", "describe_log_streams"])
def test_a_token_of_other_lists_must_be_one(
    frozen_logs: Any, stream_of: Callable[..., str], operation: str, place: str
) -> None:
    """What looks like one and has other parts is an invalid parameter."""
    stream_of(running=1, lines=1)
    of = list_id("FilterLogEvents" if operation.startswith("filter") else "DescribeLogStreams", {"logGroupName": GROUP})
    token = base64.urlsafe_b64encode(place.replace("[", f'["{of}", ', 1).encode()).decode()
    with pytest.raises(frozen_logs.exceptions.InvalidParameterException, match="nextToken"):
        getattr(frozen_logs, operation)(logGroupName=GROUP, nextToken=token)
