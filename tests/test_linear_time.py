"""No text costs a regular expression of this package more than linear time.

The patterns are found, not listed: those that an imported module holds, and those of calls of `re` in the source. Each
is driven by the methods that the source calls on it, with repeats of what the pattern itself names: its characters, the
ends of its classes, its words.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import re._constants as sre  # type: ignore[import-not-found]  # typeshed does not have it
import re._parser as sre_parser  # type: ignore[import-not-found]  # as above
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import airflow_batch_jobs
from airflow_batch_jobs.batch.aws_messages import BLOCKS, FATES, REASONS, meaning_of
from airflow_batch_jobs.batch.definition import is_late, legal_name, parse_reference
from airflow_batch_jobs.batch.definition.reference import as_revision
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.identity import MAP_INDEX_TAG, legal_tag_value, owner_of
from airflow_batch_jobs.batch.logs import LogEvent
from airflow_batch_jobs.errors import DefinitionError
from airflow_batch_jobs.local.model import load_service
from airflow_batch_jobs.task.log import level_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

#: How long a text is, in characters, and how long each character may take.
LENGTH, SECONDS = 65_536, 0.3 / 65_536
#: Signs of AWS's texts are looked for in the first 4,096 characters.
SIGN_LENGTH = 8_192
#: Functions of `re`, and methods of a pattern, that look at a text.
METHODS = {"match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split"}
#: Calls whose pattern is an argument of their function: those patterns are found where they end up.
#: `sign`: in the tables of signs. `_pattern`: AWS's own, from botocore's models.
GIVEN = {"airflow_batch_jobs.batch.aws_messages.sign": {"pattern"}, "airflow_batch_jobs.local.model": {"text"}}
#: How many texts are made of a part of a pattern.
_MOST_TEXTS = 12
#: Characters that belong to no pattern in particular.
ANY = ("x", "0", " ", "\n", "é")


@dataclass(frozen=True)
class Use:
    """A pattern, where it was found, how it is used, and with how long a text to try it."""

    where: str
    pattern: re.Pattern[str]
    method: str
    length: int = LENGTH

    def __str__(self) -> str:
        return f"{self.where} {self.method}"

    def seconds(self, text: str) -> float:
        """Return how much of the processor's time a text takes."""
        text_type: type = type(self.pattern.pattern)
        given: Any = text.encode() if text_type is bytes else text
        arguments = ("", given) if self.method in {"sub", "subn"} else (given,)
        began = time.thread_time()
        found = getattr(self.pattern, self.method)(*arguments)
        if self.method == "finditer":
            list(found)
        return time.thread_time() - began


@dataclass(frozen=True)
class Taker:
    """A function that takes texts from outside, and what it does to them beside its patterns."""

    name: str
    take: Callable[[str], object]
    length: int = LENGTH

    def __str__(self) -> str:
        return self.name

    def seconds(self, text: str) -> float:
        """Return how much of the processor's time a text takes."""
        began = time.thread_time()
        with suppress(DefinitionError):
            self.take(text)
        return time.thread_time() - began


TAKERS = (
    Taker("line", lambda text: LogEvent(0, text).text()),
    Taker("level of a line", level_of),
    Taker("reason", lambda text: meaning_of([*FATES, *REASONS, *BLOCKS], text)),
    Taker("excerpt", lambda text: excerpt(" ".join(text.split()), 300)),
    Taker("name", legal_name),
    Taker("tag", legal_tag_value),
    Taker("name of a job", lambda text: owner_of({MAP_INDEX_TAG: text}, text, "here")),
    Taker("template", is_late),
    Taker("reference", parse_reference),
    Taker("revision", lambda text: as_revision(text, of="align")),
)


@cache
def modules() -> tuple[ModuleType, ...]:
    """Import all of the package."""
    names = [each.name for each in pkgutil.walk_packages(airflow_batch_jobs.__path__, "airflow_batch_jobs.")]
    return tuple(importlib.import_module(name) for name in names if not name.endswith("__main__"))


@cache
def trees() -> Mapping[str, ast.Module]:
    """Return the syntax trees of the modules, by their names."""
    return {each.__name__: ast.parse(Path(str(each.__file__)).read_text(encoding="utf-8")) for each in modules()}


@cache
def methods() -> Mapping[str, set[str]]:
    """Return the methods that are called on a name: `_ESCAPES.sub`, `_SIGNS[key].match`, `sign.pattern.search`."""
    called: defaultdict[str, set[str]] = defaultdict(set)
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                on = node.value.value if isinstance(node.value, ast.Subscript) else node.value
                called[on.id if isinstance(on, ast.Name) else getattr(on, "attr", "")].add(node.attr)
    return called


def held(value: Any, name: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield the patterns in a value, however deep, with the names that they are used by."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from held(each, name)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for each in value:
            yield from held(each, name)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from held(getattr(value, each.name, None), each.name)


def called(module: ModuleType) -> Iterator[Use]:
    """Yield the patterns in the calls of `re` in a module's source, other than those that are compiled and held."""
    for node in ast.walk(trees()[module.__name__]):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        on, method = node.func.value, node.func.attr
        if not (isinstance(on, ast.Name) and on.id == "re" and method in METHODS):
            continue
        text = eval(compile(ast.Expression(node.args[0]), "", "eval"), vars(module))  # noqa: S307 - our own source
        yield Use(f"{module.__name__}:{node.lineno}", re.compile(text), method)


@cache
def uses() -> tuple[Use, ...]:
    """Find every pattern."""
    found = {}
    signs = {each.pattern for each in (*FATES, *REASONS, *BLOCKS)}
    for module in modules():
        for name, value in vars(module).items():
            for used_as, pattern in held(value, name):
                length = SIGN_LENGTH if pattern in signs else LENGTH
                for method in sorted(methods().get(used_as, METHODS)):
                    where = f"{module.__name__}.{name} {pattern.pattern[:30]}"
                    found[pattern, method] = Use(where, pattern, method, length)
        for use in called(module):
            found[use.pattern, use.method] = use
    for service in ("batch", "logs", "sts"):
        for shape in load_service(service)._shapes.values():
            with suppress(KeyError, re.error):
                pattern = re.compile(shape["pattern"])
                found[pattern, "fullmatch"] = Use(f"{service} {pattern.pattern[:30]}", pattern, "fullmatch")
    return tuple(found.values())


class Named:
    """What a pattern names: its characters, the ends of its classes, and texts that it takes as far as they go.

    Attributes:
        units: All of them.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.units = set(ANY)
        self._sequence(sre_parser.parse(pattern.pattern, pattern.flags))
        self.units.discard("")

    def _sequence(self, parsed: Iterable[Any]) -> list[str]:
        """Return some texts that a part of a pattern takes; their beginnings are units as well."""
        texts = [""]
        for operator, argument in parsed:
            nexts = self._texts(operator, argument)
            texts = [text + each for text in texts for each in nexts][:_MOST_TEXTS]
            self.units.update(texts)
        return texts

    def _texts(self, operator: Any, argument: Any) -> list[str]:  # noqa: PLR0911 - one for each kind
        match operator:
            case sre.LITERAL:
                return self._character(chr(argument))
            case sre.NOT_LITERAL:
                self.units.add(chr(argument))
                return ["x"]
            case sre.RANGE:
                return [text for end in argument for text in self._character(chr(end))]
            case sre.IN:
                members = [text for each in argument for text in self._texts(*each)]
                return ["x"] if argument[0][0] is sre.NEGATE else members[:2]
            case sre.BRANCH:
                return [text for each in argument[1] for text in self._sequence(each)[:2]]
            case sre.SUBPATTERN:
                return self._sequence(argument[-1])
            case sre.ATOMIC_GROUP:
                return self._sequence(argument)
            case sre.MAX_REPEAT | sre.MIN_REPEAT | sre.POSSESSIVE_REPEAT:
                least, _, repeated = argument
                return [text * max(1, least) for text in self._sequence(repeated)] + [""] * (least == 0)
            case sre.CATEGORY | sre.ANY:
                return ["x", "0", " "]
            case _:  # a place in the text, or what must not stand there
                return [""]

    def _character(self, character: str) -> list[str]:
        self.units.add(character)
        return [character]


def of_length(parts: list[str], length: int) -> str:
    """Repeat some texts, one after the other, up to a length."""
    unit = "".join(parts)
    return (unit * (length // len(unit) + 1))[:length]


def check(use: Use | Taker, head: str, body: list[str], tail: str) -> None:
    """Assert that a text takes its time; a machine that was busy may have another try."""
    text = f"{head}{of_length(body, use.length)}{tail}"
    took = 0.0
    for _ in range(3):
        took = use.seconds(text)
        if took <= SECONDS * use.length:
            return
    pytest.fail(f"{took:.3f} s for {body!r} between {head!r} and {tail!r}")


def test_every_call_of_re_is_found() -> None:
    """A pattern that is not in sight, such as an argument, has to be reached in another way."""
    compiled = {
        (name, ast.unparse(node.args[0]))
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile"
    }
    texts = {use.pattern.pattern for use in uses()}
    for name, argument in compiled:
        if argument not in GIVEN.get(name, set()):
            [module] = [each for each in modules() if each.__name__ == name]
            assert eval(argument, vars(module)) in texts, (name, argument)  # noqa: S307 - our own source
    for name, tree in trees().items():
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "re"]
        assert not imported, f"{name}: import re, and call its functions by its name"


@pytest.mark.long
@pytest.mark.parametrize("use", uses(), ids=str)
def test_a_pattern_takes_linear_time(use: Use) -> None:
    """Whatever of its own characters and words a text is made of, again and again."""
    drive(use, sorted(Named(use.pattern).units))


@pytest.mark.long
@pytest.mark.parametrize("taker", TAKERS, ids=str)
def test_a_text_from_outside_takes_linear_time(taker: Taker) -> None:
    """Whatever of any pattern it is made of."""
    drive(taker, sorted({unit for use in uses() for unit in Named(use.pattern).units if len(unit) == 1}))


def drive(use: Use | Taker, named: list[str]) -> None:
    """Try texts of one unit each, and texts of some of them between others."""
    for each in named:
        check(use, "", [each], "")

    @given(st.data())
    @settings(max_examples=25, deadline=None, database=None)
    def anything(data: st.DataObject) -> None:
        body = data.draw(st.lists(st.sampled_from(named), min_size=1, max_size=4))
        head, tail = (data.draw(st.sampled_from(["", *named])) for _ in range(2))
        check(use, head, body, tail)

    anything()
