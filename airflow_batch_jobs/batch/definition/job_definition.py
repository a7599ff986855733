"""JobDefinition: which AWS Batch job definition, at which revision, with which parameters."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import ConfigDict, ValidationError, field_validator, model_serializer

from airflow_batch_jobs.batch.definition.model import Model
from airflow_batch_jobs.batch.definition.problems import aws_name, explain, late_hint
from airflow_batch_jobs.batch.definition.reading import Reading, by_field, read_field, refuse_taken_names
from airflow_batch_jobs.batch.definition.reference import (
    NAME_LIMIT,
    as_revision,
    legal_name,
    parse_reference,
    require_legal_name,
)
from airflow_batch_jobs.batch.definition.values import is_airflow_placeholder, is_late, leaves, to_data, to_text
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")


class JobDefinition(Model):
    """A job definition in AWS Batch, at a pinned revision, with values for its parameters.

    A subclass names the definition and declares its parameters::

        class Align(JobDefinition, name="align-reads", revision=7):
            sample: str
            reference: str = "s3://refs/hg38.fa"
            threads: int = Field(default=4, ge=1)


        Align(sample="NA12878")

    Values are checked when the definition is made. Only a field that takes text may hold a Jinja template; its checks,
    and `validate()`, then wait for `with_parameters`. A parameter whose name in AWS is not a Python name, or is used by
    this class itself, gets that name as an alias: `in_file: str = Field(serialization_alias="in-file")`.

    A pydantic model called `Result` in the class's body is no parameter: it says what the job hands back.

    Does not ask AWS for anything, and does not register a definition there.

    Raises:
        ParameterError: A parameter is missing, unknown or of the wrong type.
        DefinitionError: `validate()` refused the values, or the definition has no legal name.
    """

    _declared_name: ClassVar[str | None] = None
    _declared_revision: ClassVar[int | None] = None

    def __init_subclass__(cls, *, name: str | None = None, revision: int | str | None = None) -> None:
        """Take the class keywords.

        Args:
            name: The definition's name in AWS; inherited if left out.
            revision: The revision to pin; inherited together with the name. None pins nothing.

        Raises:
            DefinitionError: The name or the revision is not legal, or a field has a name that this class uses.
        """
        super().__init_subclass__()
        if name is not None:
            cls._declared_name = require_legal_name(name)
            cls._declared_revision = None
        if revision is not None:
            cls._declared_revision = as_revision(revision, of=cls._label())
        refuse_taken_names(cls, JobDefinition)
        # Validators wrap one another in the order of their definition: this one, defined last, is outside the class's
        # own, so that none of them sees a template. Its name must differ from the base class's.
        validator = field_validator("*", mode="wrap", check_fields=False)(read_field)
        setattr(cls, f"_read_field_{len(cls.__mro__)}", validator)

    if not TYPE_CHECKING:  # type checkers make the signature from the fields

        def __init__(self, /, **values: Any) -> None:
            self._fill(values, Reading(self._declared_revision), self._label(self._declared_revision))

    def model_post_init(self, context: Any, /) -> None:
        """Take in what is not a parameter. If all values are known, check the name and call `validate()`.

        Args:
            context: That of pydantic's validation, which says of values from elsewhere whether they are rendered.

        Raises:
            DefinitionError: The name is not one that AWS accepts, or `validate` says what is wrong.
        """
        reading = context if isinstance(context, Reading) else Reading(self._declared_revision)
        self._revision, self._base = reading.revision, reading.base
        if reading.rendered or not (reading.late or any(map(is_late, self._by_field().values()))):
            require_legal_name(self.name)
            self.validate()

    @property
    def name(self) -> str:
        """The definition's name in AWS. A subclass may override it instead of giving `name=`.

        Raises:
            DefinitionError: The class has no name.
        """
        if self._base is not None:
            return parse_reference(self._base).name
        if self._declared_name is None:
            kind = type(self).__name__
            raise DefinitionError(f'{kind} has no name. Write `class {kind}(JobDefinition, name="…", revision=…)`.')
        return self._declared_name

    @property
    def revision(self) -> int | None:
        """The pinned revision, a whole number from 1; None if none is pinned."""
        return self._revision

    @property
    def pinned_reference(self) -> str:
        """SubmitJob's `jobDefinition`: `name:revision`, or an ARN with the revision.

        Raises:
            NotPinnedError: No revision is pinned.
        """
        if self.revision is None:
            raise NotPinnedError(self.name)
        return f"{self._base or self.name}:{self.revision}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names in AWS, in the order of their declaration."""
        return tuple(self._values())

    def validate(self) -> None:
        """Check the values against one another; for subclasses to override.

        Called once all values are known: not while a field holds a template.

        Raises:
            ValueError: The values do not fit together; the message says why.
        """

    def at_revision(self, revision: int | str) -> Self:
        """Return the same definition, pinned to a revision.

        Args:
            revision: A whole number from 1, or its digits.

        Raises:
            DefinitionError: The revision is anything else.
        """
        pinned = copy.copy(self)
        pinned._revision = as_revision(revision, of=self.name)
        return pinned

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """Return the same definition with other values for some parameters, all of them checked.

        Nothing is postponed here: what looks like a template is taken as the value itself. Text is accepted where a
        number, a date, a list or a mapping is declared and can be read from it. A class's own validators run again on
        the values that they returned before.

        Args:
            parameters: Values by the parameters' names in AWS, or by the fields' names.

        Raises:
            ParameterError: A parameter is unknown or of the wrong type.
            DefinitionError: `validate()` refused the values.
        """
        reading = Reading(self._revision, self._base, rendered=True, lenient=True)
        return self._read(self._over(parameters), reading, str(self))

    def check_with(self, parameters: Mapping[str, Any]) -> None:
        """Check other values for some parameters as far as they are already known.

        Args:
            parameters: Values by the parameters' names in AWS, or by the fields' names.

        Raises:
            ParameterError: A parameter is unknown or of the wrong type.
            DefinitionError: All values are known and `validate()` refused them.
        """
        values = self._over(parameters)
        late = frozenset(field for field, value in values.items() if is_late(value))
        self._read(values, Reading(self._revision, self._base, lenient=True, late=late), str(self))

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], revision: int | str | None = None) -> Self:
        """Make a definition from rendered values, read as `with_parameters` reads them.

        Args:
            parameters: Values by the parameters' names in AWS, or by the fields' names.
            revision: The revision to pin; None for the class's own.

        Raises:
            ParameterError: A parameter is missing, unknown or of the wrong type.
            DefinitionError: `validate()` refused the values, or the revision is not legal.
        """
        pinned = cls._declared_revision if revision is None else as_revision(revision, of=cls._label())
        label = cls._label(pinned)
        given = by_field(cls.model_fields, parameters)
        return cls._read(given, Reading(pinned, rendered=True, lenient=True), label)

    @classmethod
    def check_partial(cls, parameters: Mapping[str, Any]) -> None:
        """Check all values of a definition as far as they are already known, and that none is missing.

        Args:
            parameters: Values by the parameters' names in AWS, or by the fields' names.

        Raises:
            ParameterError: A parameter is missing, unknown or of the wrong type.
            DefinitionError: All values are known and `validate()` refused them.
        """
        label = cls._label(cls._declared_revision)
        given = by_field(cls.model_fields, parameters)
        late = frozenset(field for field, value in given.items() if is_late(value))
        cls._read(given, Reading(cls._declared_revision, lenient=True, late=late), label)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the default values as JSON data, by the parameters' names in AWS. They may contain templates."""
        return {
            aws_name(field, info): to_data(info.get_default(call_default_factory=True, validated_data={}))
            for field, info in cls.model_fields.items()
            if not info.is_required()
        }

    @classmethod
    def declared_reference(cls) -> str:
        """Return what the class is pinned to, before there are values: `align-reads:7`.

        If the name is a property, the class's own name is used instead.

        Raises:
            NotPinnedError: The class has no revision.
        """
        if cls._declared_revision is None:
            raise NotPinnedError(cls._label())
        return cls._label(cls._declared_revision)

    @staticmethod
    def named(reference: str, parameters: Mapping[str, Any] | None = None) -> JobDefinition:
        """Return a definition that needs no class.

        Args:
            reference: `name:revision`, or an ARN with a revision.
            parameters: Values by the parameters' names in AWS. They become text as a class's do; only AWS knows which
                parameters there are.

        Raises:
            DefinitionError: The reference is malformed.
            ParameterError: A value has no text.
        """
        place = parse_reference(reference)
        return _NamedDefinition._read(parameters or {}, Reading(place.revision, place.base), str(place))

    def make_job_name(self, moment: datetime | None = None) -> str:
        """Return a legal name for a job of this definition: `align-reads-7-20260131T120000Z`.

        Args:
            moment: The time in the name; now, when None.
        """
        ending = f"-{(moment or datetime.now(UTC)).astimezone(UTC):%Y%m%dT%H%M%SZ}"
        return legal_name(str(self), NAME_LIMIT - len(ending)) + ending

    def to_dict(self) -> dict[str, str]:
        """Return AWS's map of parameters: text by the parameters' names in AWS, without values that are None.

        Raises:
            ParameterError: A value has no text that a job could read.
        """
        texts = _convert_all(to_text, self._values(), str(self))
        return {name: text for name, text in texts.items() if text is not None}

    def to_data(self) -> dict[str, Any]:
        """Return the values as JSON data by the parameters' names in AWS: a form that Jinja can render.

        Raises:
            ParameterError: A value has no text that a job could read.
        """
        return _convert_all(to_data, self._values(), str(self))

    def plain(self) -> dict[str, Any]:
        """Return `{"definition": "align-reads:7", "parameters": {…}}`: the form that crosses XCom.

        pydantic's own dumps (`model_dump`, and a definition inside another model) have this form too, so that no dump
        loses the revision.

        Raises:
            NotPinnedError: No revision is pinned.
        """
        return {"definition": self.pinned_reference, "parameters": self.to_dict()}

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        return self.plain()

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}:{self.revision}"

    def __repr__(self) -> str:
        values = "".join(f" {name}={value!r}" for name, value in self._values().items())
        return f"<{type(self).__name__} {self}{values}>"

    def __hash__(self) -> int:
        return hash((type(self), str(self), tuple(self._values().items())))

    @classmethod
    def _label(cls, revision: int | None = None) -> str:
        """What errors call the definition before there is an instance."""
        name = cls._declared_name or cls.__name__
        return name if revision is None else f"{name}:{revision}"

    @classmethod
    def _read(cls, values: Mapping[str, Any], reading: Reading, label: str) -> Self:
        definition = cls.__new__(cls)
        definition._fill(values, reading, label)
        return definition

    def _fill(self, values: Mapping[str, Any], reading: Reading, label: str) -> None:
        """Check values and take them in: every way to make a definition ends here."""
        for name, value in values.items():
            if name not in reading.late and any(map(is_airflow_placeholder, leaves(value))):
                own = type(self).__name__ if reading.base is None else f'"{label}"'
                problem = f"is a task's result or another value of run time. {late_hint(own, name)}"
                raise ParameterError(label, name, problem, value)
        try:
            self.__pydantic_validator__.validate_python(values, context=reading, self_instance=self)
        except ValidationError as error:
            raise explain(error, label, type(self).model_fields) from error
        _convert_all(to_text, self._values(but=reading.late), label)

    def _by_field(self) -> dict[str, Any]:
        """The values by field."""
        return {field: self.__dict__[field] for field in type(self).model_fields} | (self.model_extra or {})

    def _over(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The values by field, overridden by others."""
        return self._by_field() | by_field(type(self).model_fields, parameters)

    def _values(self, *, but: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The values by their names in AWS, without those of some fields."""
        fields = type(self).model_fields
        return {
            aws_name(field, fields[field]) if field in fields else field: value
            for field, value in self._by_field().items()
            if field not in but
        }


class _NamedDefinition(JobDefinition):
    """A definition that no class declares: it takes any parameters."""

    model_config = ConfigDict(extra="allow")


def _convert_all(convert: Callable[[Any], _T], values: Mapping[str, Any], definition: str) -> dict[str, _T]:
    converted = {}
    for name, value in values.items():
        try:
            converted[name] = convert(value)
        except ValueError as error:
            raise ParameterError(definition, name, str(error), value) from error
    return converted
