"""Model: the pydantic model under a job definition, in two forms: the real one, and the one for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import SchemaValidator

    @dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, PrivateAttr))
    class Model:
        """What type checkers see.

        pydantic's deprecated class method `validate` is left out: with it, they would refuse the `validate()` of every
        definition as an override that does not fit.
        """

        model_config: ClassVar[ConfigDict]
        model_fields: ClassVar[dict[str, FieldInfo]]
        __pydantic_validator__: ClassVar[SchemaValidator]
        _revision: int | None
        _base: str | None

        @property
        def model_extra(self) -> dict[str, Any] | None:
            """The values of parameters that no field declares."""

        def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
            """Return the plain form."""

        def model_dump_json(self) -> str:
            """Return the plain form as JSON."""

else:

    class Model(BaseModel):
        """What a definition holds besides its parameters; copies, pickles and comparisons keep it."""

        model_config = ConfigDict(
            frozen=True,
            extra="forbid",
            validate_default=True,
            validate_by_name=True,
            loc_by_alias=False,
            protected_namespaces=(),
        )

        _revision: int | None = PrivateAttr(default=None)
        #: For a definition that no class names, its name or ARN without the revision.
        _base: str | None = PrivateAttr(default=None)
