"""JobDefinition: name, pinned revision, parameters, copies and plain forms."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel

from airflow_batch_jobs.batch.definition import Field, JobDefinition
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError, ParameterError

ARN = "arn:aws:batch:eu-central-1:123456789012:job-definition/align-reads"


class Align(JobDefinition, name="align-reads", revision=7):
    """A definition as users write it."""

    sample: str
    reference: str = "s3://refs/hg38.fa"
    threads: int = Field(default=4, ge=1)

    def validate(self) -> None:
        """Refuse what does not fit together."""
        if self.sample == "big" and self.threads < 8:
            raise ValueError("the big sample needs 8 threads")


class Unpinned(JobDefinition, name="unpinned"):
    """A definition without a revision."""

    x: int = 0


def test_a_definition_knows_its_name_revision_and_parameters() -> None:
    """What a definition shows of itself."""
    align = Align(sample="NA12878")
    assert (align.name, align.revision, str(align)) == ("align-reads", 7, "align-reads:7")
    assert align.parameters == ("sample", "reference", "threads")
    assert align.to_dict() == {"sample": "NA12878", "reference": "s3://refs/hg38.fa", "threads": "4"}
    assert repr(align) == "<Align align-reads:7 sample='NA12878' reference='s3://refs/hg38.fa' threads=4>"


@pytest.mark.parametrize("revision", [9, "9"])
def test_another_revision_makes_another_definition(revision: int | str) -> None:
    """`at_revision` does not change the definition that it is called on."""
    align = Align(sample="x")
    pinned = align.at_revision(revision)
    assert (str(pinned), str(align)) == ("align-reads:9", "align-reads:7")
    assert isinstance(pinned, Align)
    assert pinned != align
    assert pinned.at_revision(7) == align


@pytest.mark.parametrize(
    "revision", [0, -1, True, "latest", "", "0", "-1", "7 ", "\N{ARABIC-INDIC DIGIT SEVEN}", 7.0, None, "$LATEST"]
)
def test_a_revision_is_a_whole_number_from_1(revision: Any) -> None:
    """Anything else is refused, naming the definition and the value."""
    with pytest.raises(DefinitionError, match=r"'align-reads'.* is not a revision") as caught:
        Align(sample="x").at_revision(revision)
    assert repr(revision) in str(caught.value)


def test_the_class_keyword_takes_what_at_revision_takes() -> None:
    """A malformed revision is found when the class is made."""
    with pytest.raises(DefinitionError, match="'latest' is not a revision"):

        class _Bad(JobDefinition, name="x", revision="latest"):
            """Never made."""


def test_a_definition_without_a_revision_cannot_be_referred_to() -> None:
    """Unpinned means refused, with how to pin it."""
    unpinned = Unpinned()
    assert (str(unpinned), unpinned.revision) == ("unpinned", None)
    with pytest.raises(NotPinnedError, match=r"at_revision\(7\)"):
        _ = unpinned.pinned_reference
    with pytest.raises(NotPinnedError):
        unpinned.plain()
    with pytest.raises(NotPinnedError):
        Unpinned.declared_reference()
    assert unpinned.at_revision(3).pinned_reference == "unpinned:3"
    assert Align.declared_reference() == "align-reads:7"


def test_a_misspelt_class_keyword_is_refused() -> None:
    """`revison=7` would otherwise leave the definition unpinned."""
    with pytest.raises(TypeError, match="revison"):
        type("Bad", (JobDefinition,), {}, name="x", revison=7)


@pytest.mark.parametrize("name", ["", "-x", "a b", "x:7", "x" * 129, ARN])
def test_an_illegal_name_is_refused_when_the_class_is_made(name: str) -> None:
    """AWS's rule is in the error."""
    with pytest.raises(DefinitionError, match="1 to 128 letters, digits, hyphens and underscores"):
        type("Bad", (JobDefinition,), {}, name=name)


def test_a_class_without_a_name_cannot_be_used() -> None:
    """Such a class can be a base for others, no more."""

    class Base(JobDefinition):
        """Common parameters."""

        sample: str

    class Sort(Base, name="sort", revision=2):
        """A definition with them."""

    with pytest.raises(DefinitionError, match="Base has no name"):
        Base(sample="x")
    assert Sort(sample="x").plain() == {"definition": "sort:2", "parameters": {"sample": "x"}}


def test_the_name_may_be_a_property() -> None:
    """Of the values, too; it is checked when the values are known."""

    class Report(JobDefinition, revision=1):
        """A definition for each language."""

        language: str

        @property
        def name(self) -> str:
            return f"report-{self.language}"

    assert Report(language="de").pinned_reference == "report-de:1"
    assert Report.declared_reference() == "Report:1"
    Report.check_partial({"language": "{{ params.language }}"})
    assert Report(language="{{ params.language }}").with_parameters({"language": "fr"}).name == "report-fr"
    with pytest.raises(DefinitionError, match="'report-d e' is not a legal name for a job definition"):
        Report(language="d e")


def test_a_subclass_inherits_the_pin_with_the_name_only() -> None:
    """A revision belongs to one name: under another name it would pin something else."""

    class Longer(Align):
        """The same definition."""

    class Other(Align, name="other"):
        """Another definition."""

    assert str(Longer(sample="x")) == "align-reads:7"
    assert Other(sample="x").revision is None


@pytest.mark.parametrize("field", ["name", "revision", "parameters", "validate", "copy", "json", "schema", "to_dict"])
def test_a_field_cannot_take_a_name_that_the_class_uses(field: str) -> None:
    """The error, not pydantic's warning, names the way out."""
    with pytest.raises(DefinitionError, match=rf'no field can be called \'{field}\'.*{field}_: … = Field\(alias="'):
        type("Bad", (JobDefinition,), {"__annotations__": {field: "str"}, field: "x"}, name="x")


def test_an_alias_is_the_parameters_name_in_aws() -> None:
    """For names that are not Python names, and for those that the class uses."""

    class Trim(JobDefinition, name="trim", revision=1):
        """A definition with awkward parameters."""

        name_: str = Field(alias="name")
        in_file: str = Field(default="a", serialization_alias="in-file")
        limit: ClassVar[int] = 3

    trim = Trim(name="n", in_file="b")
    assert trim.parameters == ("name", "in-file")
    assert trim.to_dict() == {"name": "n", "in-file": "b"}
    assert trim.with_parameters({"in-file": "c"}).to_dict()["in-file"] == "c"
    assert trim.with_parameters({"in_file": "c", "name_": "m"}).to_dict() == {"name": "m", "in-file": "c"}
    assert Trim.from_parameters({"name": "n"}).name_ == "n"
    with pytest.raises(ParameterError, match=r"Parameter 'in-file' of \S+ cannot be 3: .* \(declared as str\)"):
        Trim.from_parameters({"name": "n", "in-file": 3})
    with pytest.raises(ParameterError, match=r"Parameter 'name' of \S+ cannot be 3: .* \(declared as str\)"):
        Trim(name=3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"Parameter 'name' of \S+ is missing \(declared as str\)"):
        Trim.from_parameters({})


def test_validate_sees_the_revision_of_its_definition() -> None:
    """Also of one that is pinned otherwise than its class."""
    seen = []

    class Seen(JobDefinition, name="seen", revision=1):
        """A definition that looks at its revision."""

        def validate(self) -> None:
            seen.append(self.revision)

    Seen.from_parameters({}, revision="4").with_parameters({})
    assert seen == [4, 4]


def test_a_definition_is_frozen() -> None:
    """What was checked stays as it was."""
    with pytest.raises(ValueError, match="frozen"):
        Align(sample="x").sample = "y"  # type: ignore[misc]


def test_every_copy_keeps_the_pin() -> None:
    """Copy, deepcopy and pickle, with and without a class."""
    for definition in (Align(sample="x").at_revision(9), JobDefinition.named(f"{ARN}:3", {"a": 1})):
        copies = [copy.copy(definition), copy.deepcopy(definition), pickle.loads(pickle.dumps(definition))]  # noqa: S301
        assert all(twin == definition and hash(twin) == hash(definition) for twin in copies)
        assert {twin.pinned_reference for twin in copies} == {definition.pinned_reference}


def test_the_pin_is_part_of_equality() -> None:
    """Two definitions are the same only at the same revision with the same values."""
    align = Align(sample="x")
    assert align == Align(sample="x")
    assert align != align.at_revision(8)
    assert align != Align(sample="y")
    assert len({align, align.at_revision(7), align.at_revision(8)}) == 2


def test_a_definition_with_a_list_has_no_hash() -> None:
    """As with every frozen model: tuples do."""

    class Listed(JobDefinition, name="listed", revision=1):
        """A definition with a list."""

        items: list[str]

    with pytest.raises(TypeError, match="unhashable"):
        hash(Listed(items=["a"]))


def test_a_dump_has_the_pin() -> None:
    """Pydantic's dumps are the plain form, also inside another model: none of them loses the revision."""

    class Step(BaseModel):
        """A user's model."""

        job: Align

    align = Align(sample="x").at_revision(9)
    plain = {"definition": "align-reads:9", "parameters": align.to_dict()}
    assert align.plain() == align.model_dump() == align.model_dump(mode="json") == plain
    assert Step(job=align).model_dump() == {"job": plain}
    assert '"align-reads:9"' in align.model_dump_json()


def test_a_plain_form_makes_the_same_request() -> None:
    """What crossed XCom is submitted as the definition would have been."""
    align = Align(sample="x", threads=6)
    plain = align.plain()
    named = JobDefinition.named(plain["definition"], plain["parameters"])
    assert (named.pinned_reference, named.to_dict()) == (align.pinned_reference, align.to_dict())
    assert Align.from_parameters(plain["parameters"]) == align


def test_a_definition_needs_no_class() -> None:
    """Any parameters are taken and turned to text as a class's are."""
    named = JobDefinition.named("align-reads:7", parameters={"name": "x", "in-file": True, "n": 3, "none": None})
    assert (named.name, named.revision, str(named)) == ("align-reads", 7, "align-reads:7")
    assert named.parameters == ("name", "in-file", "n", "none")
    assert named.to_dict() == {"name": "x", "in-file": "true", "n": "3"}
    assert named.with_parameters({"n": 4, "m": [1]}).to_dict()["n"] == "4"
    assert named.with_parameters({}).pinned_reference == "align-reads:7"


def test_an_arn_stays_an_arn() -> None:
    """It may be of another account or region, so the name alone would not do."""
    named = JobDefinition.named(f"{ARN}:3")
    assert (named.name, str(named), named.pinned_reference) == ("align-reads", "align-reads:3", f"{ARN}:3")
    assert named.at_revision(4).pinned_reference == f"{ARN}:4"
    assert named.plain()["definition"] == f"{ARN}:3"
    assert JobDefinition.named(ARN).at_revision(3) == named


def test_a_job_name_has_the_definition_the_revision_and_the_moment() -> None:
    """In UTC; the text part is cut, the moment never."""
    moment = datetime(2026, 1, 31, 13, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    assert Align(sample="x").make_job_name(moment) == "align-reads-7-20260131T120005Z"
    assert Align(sample="x").make_job_name().startswith(f"align-reads-7-{datetime.now(UTC).year}")
    long = JobDefinition.named(f"{'x' * 128}:7").make_job_name(moment)
    assert len(long) == 128
    assert long.endswith("x-20260131T120005Z")


def test_pydantics_own_features_work() -> None:
    """Enums, literals, aliases and defaults made by a factory."""

    class Mode(Enum):
        """A plain enum."""

        FAST = 1

    class Featured(JobDefinition, name="featured", revision=1):
        """A definition that uses them."""

        mode: Mode = Mode.FAST
        kind: Literal["a", "b"] = "a"
        made: list[int] = Field(default_factory=lambda: [1, 2])

    assert Featured().to_dict() == {"mode": "1", "kind": "a", "made": "[1,2]"}
    assert Featured.defaults() == {"mode": 1, "kind": "a", "made": [1, 2]}
    assert Featured.from_parameters(Featured().to_dict()) == Featured()
    with pytest.raises(ParameterError, match="input should be 'a' or 'b'"):
        Featured.from_parameters({"kind": "c"})


def test_a_cached_property_is_no_parameter() -> None:
    """A definition may compute."""

    class Computed(JobDefinition, name="computed", revision=1):
        """A definition that computes."""

        x: int = 2

        @cached_property
        def square(self) -> int:
            return self.x**2

    computed = Computed(x=3)
    assert computed.square == 9
    assert computed.to_dict() == {"x": "3"}
    assert computed.with_parameters({"x": 4}).square == 16


def test_a_wrong_default_is_found() -> None:
    """Defaults are checked like any other value."""

    class Wrong(JobDefinition, name="wrong", revision=1):
        """A definition that cannot be right."""

        threads: int = Field(default=0, ge=1)

    with pytest.raises(ParameterError, match=r"'threads' of \S+ cannot be 0"):
        Wrong()


def test_pydantics_own_entrances_check_as_the_constructor_does() -> None:
    """`model_validate` raises pydantic's error, with our text in it."""
    model: Any = Align
    assert str(model.model_validate({"sample": "x"})) == "align-reads:7"
    with pytest.raises(ValueError, match=r"Parameter 'threads' of \S+ cannot be 0"):
        model.model_validate({"sample": "x", "threads": 0})
