"""What values become in AWS's map of text, and what text becomes as a value."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, HttpUrl, PostgresDsn, SecretStr, TypeAdapter
from typing_extensions import TypeAliasType

from airflow_batch_jobs.batch.definition import Field, JobDefinition, to_text
from airflow_batch_jobs.errors import ParameterError

Name = NewType("Name", str)
Kind = TypeAliasType("Kind", str)


class Colour(Enum):
    """An enum of text."""

    RED = "red"


class Level(IntEnum):
    """An enum of numbers."""

    HIGH = 3


class Region(BaseModel):
    """A nested model with an alias."""

    chromosome: str = Field(serialization_alias="chrom")
    since: date


@dataclass
class Point:
    """A nested dataclass."""

    x: int
    y: Path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        (" text ä ", " text ä "),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (-0.5, "-0.5"),
        (1e-7, "1e-07"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("inf"), "inf"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 12, 0, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
        (datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T12:00:00.000005+02:00"),
        (datetime(2026, 1, 31, 12, 0), "2026-01-31T12:00:00"),  # noqa: DTZ001 - a naive time stays naive
        (time(8, 30), "08:30:00"),
        (timedelta(0), "PT0S"),
        (timedelta(days=2), "P2D"),
        (timedelta(days=1, hours=1, milliseconds=500), "P1DT3600.5S"),
        (timedelta(seconds=-90), "-PT90S"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (PurePosixPath("/data/x"), "/data/x"),
        (AnyUrl("s3://bucket/key"), "s3://bucket/key"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([1, "ä", None, True, 0.5], '[1,"ä",null,true,0.5]'),
        ((date(2026, 1, 31), Decimal("0.1")), '["2026-01-31","0.1"]'),
        ({"b", "a"}, '["a","b"]'),
        (frozenset({10, 9}), "[10,9]"),
        ({"k": Colour.RED, 1: [Path("x")]}, '{"k":"red","1":["x"]}'),
        (OrderedDict(a=1), '{"a":1}'),
        (Region(chromosome="1", since=date(2026, 1, 31)), '{"chrom":"1","since":"2026-01-31"}'),
        (Point(1, Path("y")), '{"x":1,"y":"y"}'),
    ],
)
def test_a_value_has_one_text(value: Any, text: str | None) -> None:
    """The text that a job's program finds in place of its `Ref::` placeholder."""
    assert to_text(value) == text


class _Float(float):
    """Writes itself as numpy 2 writes a float64, which is derived from float as well."""

    def __repr__(self) -> str:
        return f"np.float64({float(self)})"


class _Text(str):
    """Writes itself in its own way."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class _Scalar:
    """What numpy's int64, float32 and arrays have in common."""

    dtype = "int64"

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        """Return it as Python has it."""
        return self.value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_Float(1.5), "1.5"),
        ([_Float(1.5)], "[1.5]"),
        (_Text("chr1"), "chr1"),
        (_Scalar(7), "7"),
        (_Scalar([True]), "[true]"),
        ({"lengths": _Scalar([1, 2])}, '{"lengths":[1,2]}'),
    ],
)
def test_a_number_of_another_library_is_that_number(value: Any, text: str) -> None:
    """A task hands numbers of numpy on as they are, and one in a job's command has to be readable."""
    assert to_text(value) == text


@pytest.mark.parametrize("value", [timedelta(days=1, hours=1, milliseconds=500), timedelta(seconds=-90)])
def test_a_duration_can_be_read_again(value: timedelta) -> None:
    """It is ISO 8601."""
    assert TypeAdapter(timedelta).validate_python(to_text(value)) == value


@pytest.mark.parametrize("value", [0.1, 1e300, 1e-300, 123456789.123456789, 2.0**60])
def test_a_float_loses_nothing(value: float) -> None:
    """Its text is the shortest that reads back as the same number."""
    assert float(str(to_text(value))) == value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"x", "is bytes"),
        ([bytearray(b"x")], "is bytes"),
        (SecretStr("hush"), "is a secret, .* can read a job's parameters; .*`secrets` of the job definition"),
        ({"password": SecretStr("hush")}, "is a secret"),
        ([float("nan")], "holds a NaN or an infinity"),
        ({None: 1}, "has None as a key"),
        (object(), "is of type object"),
        (Point, "is of type type"),
    ],
)
def test_a_value_without_a_text_is_refused(value: Any, problem: str) -> None:
    """When the definition is made, with the parameter's name; a secret is not printed."""
    with pytest.raises(ParameterError, match=rf"Parameter 'x' of align-reads:7 {problem}") as caught:
        JobDefinition.named("align-reads:7", {"x": value})
    assert "hush" not in str(caught.value)
    assert caught.value.field == "x"


def test_a_secret_field_is_refused() -> None:
    """Also where a class declares it."""

    class Secretive(JobDefinition, name="secretive", revision=1):
        """A definition that would show its password to whoever may call DescribeJobs."""

        password: SecretStr

    with pytest.raises(ParameterError, match="Parameter 'password' of secretive:1 is a secret"):
        Secretive(password=SecretStr("hush"))


class Typed(JobDefinition, name="typed", revision=1):
    """A definition with one field of each kind, all optional."""

    number: int | None = None
    fraction: Annotated[float, Field(ge=0)] | None = None
    flag: bool | None = None
    day: date | None = None
    moment: datetime | None = None
    pause: timedelta | None = None
    colour: Colour | None = None
    level: Level | None = None
    amount: Decimal | None = None
    path: Path | None = None
    url: HttpUrl | PostgresDsn | None = None
    choice: Literal[1, 2, "x"] | None = None
    items: list[int] | None = None
    pairs: tuple[tuple[str, int], ...] | None = None
    unique: frozenset[str] | None = None
    table: dict[str, float] | None = None
    region: Region | None = None


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("number", "4", 4),
        ("number", "None", None),
        ("fraction", "0.5", 0.5),
        ("flag", "True", True),
        ("flag", "false", False),
        ("day", "2026-01-31", date(2026, 1, 31)),
        ("day", "20260131", date(2026, 1, 31)),
        ("moment", "20260131", datetime(2026, 1, 31)),  # noqa: DTZ001 - as written
        ("moment", "20260131T120000", datetime(2026, 1, 31, 12, 0)),  # noqa: DTZ001 - as written
        ("moment", "2026-01-31T12:00:00+00:00", datetime(2026, 1, 31, 12, 0, tzinfo=UTC)),
        ("pause", "PT1H", timedelta(hours=1)),
        ("colour", "red", Colour.RED),
        ("level", "3", Level.HIGH),
        ("amount", "1.10", Decimal("1.10")),
        ("path", "/x", Path("/x")),
        ("choice", "2", 2),
        ("choice", "x", "x"),
        ("items", "[1, 2]", [1, 2]),
        ("items", "['1', 2]", [1, 2]),
        ("pairs", '[["a", 1]]', (("a", 1),)),
        ("unique", "{'a', 'b'}", frozenset({"a", "b"})),
        ("table", '{"a": 1}', {"a": 1.0}),
        ("table", "{'a': None}", ParameterError),
        ("items", "no list", ParameterError),
        ("number", "4.5", ParameterError),
        ("number", "((" * 500, ParameterError),
    ],
)
def test_rendered_text_is_read_as_what_is_declared(field: str, text: str, value: Any) -> None:
    """Jinja renders text: JSON, Python's own notation, or the value itself."""
    if value is ParameterError:
        with pytest.raises(ParameterError, match=rf"Parameter '{field}' of \S+ cannot be"):
            Typed.from_parameters({field: text})
        return
    assert getattr(Typed.from_parameters({field: text}), field) == value


def test_every_type_survives_the_way_through_aws_text() -> None:
    """The texts of a definition make the same definition."""
    typed = Typed(
        number=1,
        fraction=0.1,
        flag=False,
        day=date(2026, 1, 31),
        moment=datetime(2026, 1, 31, 12, tzinfo=UTC),
        pause=timedelta(days=1, seconds=1.5),
        colour=Colour.RED,
        level=Level.HIGH,
        amount=Decimal("1.10"),
        path=Path("/x"),
        url=HttpUrl("https://example.org/x"),
        choice=2,
        items=[1],
        pairs=(("a", 1),),
        unique=frozenset({"a"}),
        table={"a": 1.5},
    )
    assert Typed.from_parameters(typed.to_dict()) == typed
    assert len(typed.to_dict()) == 16
    assert typed.with_parameters({"items": None}).to_dict().keys() == typed.to_dict().keys() - {"items"}


def test_text_is_read_only_where_templates_are_rendered() -> None:
    """In the constructor a list is a list."""
    with pytest.raises(ParameterError, match=r"Parameter 'items' of \S+ cannot be"):
        Typed(items="[1]")  # type: ignore[arg-type]


def test_a_number_is_no_text() -> None:
    """What an upstream task returned is not bent to fit."""

    class Strict(JobDefinition, name="strict", revision=1):
        """A definition with text."""

        sample: str
        alias: Name = Name("x")
        kind: Kind = "y"

    with pytest.raises(ParameterError, match=r"'sample' of \S+ cannot be 5: input should be a valid string"):
        Strict.from_parameters({"sample": 5})
    assert Strict.from_parameters({"sample": "[1]", "alias": "{}", "kind": "1"}).to_dict() == {
        "sample": "[1]",
        "alias": "{}",
        "kind": "1",
    }


def test_json_data_keeps_numbers_and_lists() -> None:
    """The form that Jinja may render: a template inside a list stays a text of its own."""
    typed = Typed(items=[1, 2], day=date(2026, 1, 31), flag=True)
    data = typed.to_data()
    assert {name: data[name] for name in ("items", "day", "flag", "url")} == {
        "items": [1, 2],
        "day": "2026-01-31",
        "flag": True,
        "url": None,
    }
    assert typed.with_parameters(data) == typed
