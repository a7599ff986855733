"""Migration: a DAG file that uses the Amazon provider's BatchOperator, rewritten as far as possible.

What cannot be decided from the file alone is left to a person, in a comment that begins with `MARK`. Everything else in
the file, including its comments and layout, stays.
"""

from __future__ import annotations

import difflib
import io
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper

from airflow_batch_jobs.migration.call_arguments import CallArguments
from airflow_batch_jobs.migration.counterparts import COUNTERPARTS
from airflow_batch_jobs.migration.judge import is_left_out, pinned
from airflow_batch_jobs.migration.provider_uses import MODULES, ProviderUses
from airflow_batch_jobs.migration.reading import module_of, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The beginning of a comment that says what a person has to do.
MARK = "# TODO(airflow-batch-jobs): "
_PACKAGE = "airflow_batch_jobs"


class Finding(NamedTuple):
    """What a person has to do.

    Attributes:
        line: The line of the comment in the rewritten file, from 1.
        text: What is to be done.
    """

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Migration:
    """What became of a file.

    Attributes:
        before: Its code.
        after: Its code after the migration.
        encoding: The file's encoding.
    """

    before: str
    after: str
    encoding: str = "utf-8"

    @property
    def changes(self) -> bool:
        """Whether anything is to be rewritten."""
        return self.after != self.before

    def findings(self) -> list[Finding]:
        """Return what is left for a person; also what an earlier migration left, as long as its comment is there."""
        lines = enumerate(_lines(self.after), start=1)
        return [Finding(n, line.partition(MARK)[2].rstrip()) for n, line in lines if line.lstrip().startswith(MARK)]

    def diff(self, name: str) -> str:
        """Return a unified diff, as `patch -p0` reads it.

        Args:
            name: The file's name.
        """
        lines = difflib.unified_diff(_lines(self.before), _lines(self.after), name, name)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def migrate(source: bytes, pins: Mapping[str, int] | None = None) -> Migration:
    """Rewrite a DAG file.

    Rewrites the classes' imports, their calls, and `.partial(…).expand(…)`. Does not run the file, and does not follow
    what it imports: a subclass, or arguments that come from a dictionary, are left and marked.

    Args:
        source: The file's content.
        pins: Revisions by the names of definitions, for definitions that are written without one.

    Raises:
        libcst.ParserSyntaxError: It is not Python.
        SyntaxError: It declares an encoding that does not exist.
        UnicodeDecodeError: It is not in the encoding that it declares.
    """
    if not any(path.rpartition(".")[0].encode() in source for path in MODULES):
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        code = source.decode(encoding)
        return Migration(code, code, encoding)
    module = cst.parse_module(source)
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    uses = ProviderUses(module, pins or {})
    wrapper.visit(uses)
    after = module.visit(_Rewriting(uses, pins or {}))
    return Migration(module.code, after.code, module.encoding)


class _Rewriting(cst.CSTTransformer):
    """Does what `ProviderUses` found."""

    def __init__(self, uses: ProviderUses, pins: Mapping[str, int]) -> None:
        super().__init__()
        self._uses = uses
        self._pins = pins
        self._pending: list[cst.ImportFrom] = []
        self._first: cst.CSTNode | None = None
        self._header: Sequence[cst.EmptyLine] = ()

    def visit_Module(self, node: cst.Module) -> None:  # noqa: N802 - libcst's name
        """Keep the comments at the top of the file, which come before its first statement."""
        self._first, self._header = node.body[0], node.header

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Put the comments for a person above the statements."""
        left = super().on_leave(original_node, updated_node)
        if not (findings := self._uses.notes.get(original_node)) or not isinstance(left, cst.CSTNode):
            return left
        node: Any = left
        above = [*(self._header if original_node is self._first else ()), *node.leading_lines]
        there = {line.comment.value for line in above if line.comment}
        new = [f"{MARK}{finding}" for finding in findings]
        lines = [cst.EmptyLine(comment=cst.Comment(text)) for text in new if text not in there]
        return node.with_changes(leading_lines=[*node.leading_lines, *lines])

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:  # noqa: N802 - libcst's name
        """Rename the class, unless the file imports it under a name of its own, which can stay."""
        full_name = self._uses.renamed.get(original_node)
        if full_name is None or (
            full_name not in self._uses.left and not full_name.endswith(f".{original_node.value}")
        ):
            return updated_node
        return updated_node.with_changes(value=COUNTERPARTS[full_name].name)

    def leave_Attribute(  # noqa: N802 - libcst's name
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.Attribute | cst.Name:
        """Replace `batch.BatchOperator` with our class's name."""
        full_name = self._uses.renamed.get(original_node)
        if full_name is None:
            return updated_node
        return cst.Name(COUNTERPARTS[full_name].name, lpar=updated_node.lpar, rpar=updated_node.rpar)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:  # noqa: N802 - libcst's name
        """Rename, move and drop arguments."""
        if counterpart := self._uses.expansions.get(original_node):
            mapped = CallArguments(updated_node)
            mapped.change("job_definition", lambda value: pinned(value, self._pins))
            mapped.rename(counterpart.renamed)
            return mapped.to_call()
        if not (counterpart := self._uses.calls.get(original_node)):
            return updated_node
        given, arguments = values_of(original_node), CallArguments(updated_node)
        arguments.drop(lambda argument: is_left_out(counterpart, argument, given))
        arguments.change("job_definition", lambda value: pinned(value, self._pins))
        arguments.change("submit_job_timeout", _timeout)
        arguments.gather("submit_options", counterpart.options)
        arguments.rename(counterpart.renamed)
        return arguments.to_call()

    def leave_ImportFrom(  # noqa: N802 - libcst's name
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        """Import our classes, and those of the provider's that are still used."""
        if isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        module, kept, added = module_of(original_node), [], []
        for alias in updated_node.names:
            keep, new = self._imported(f"{module}.{alias.evaluated_name}", alias)
            kept += [alias] if keep else []
            added += new
        if len(kept) == len(updated_node.names) and not added:
            return updated_node
        if not kept:
            if not added:
                return cst.RemoveFromParent()
            return updated_node.with_changes(module=cst.Name(_PACKAGE), names=added)
        if added:
            self._pending.append(_import(added))
        return updated_node.with_changes(names=kept if updated_node.lpar else _without_comma(kept))

    def leave_Import(  # noqa: N802 - libcst's name
        self, original_node: cst.Import, updated_node: cst.Import
    ) -> cst.Import | cst.ImportFrom:
        """Import our classes beside a module of the provider's, or instead of it if nothing else uses it."""
        for alias in original_node.names:
            keep, added = self._imported(alias.evaluated_name, alias)
            if added and not keep and alias.asname and len(original_node.names) == 1:
                return _import(added)
            if added:
                self._pending.append(_import(added))
        return updated_node

    def _imported(self, full_name: str, alias: cst.ImportAlias) -> tuple[bool, list[cst.ImportAlias]]:
        """Return whether an import is still needed, and what is to be imported from this package."""
        uses = self._uses
        if full_name in MODULES:
            others = uses.elsewhere | uses.left
            used = {name for node, name in uses.renamed.items() if isinstance(node, cst.Attribute)}
            names = [COUNTERPARTS[name].name for name in sorted(used) if name.startswith(f"{full_name}.")]
            keep = not names or any(f"{name}.".startswith(f"{full_name}.") for name in others)
            return keep, [cst.ImportAlias(cst.Name(name)) for name in names if name not in uses.ours]
        if full_name not in COUNTERPARTS:
            return True, []
        name = COUNTERPARTS[full_name].name
        if full_name in uses.left:
            is_used = any(isinstance(node, cst.Name) for node, other in uses.renamed.items() if other == full_name)
            return True, [cst.ImportAlias(cst.Name(name))] if is_used and name not in uses.ours else []
        return False, [alias.with_changes(name=cst.Name(name))] if alias.asname or name not in uses.ours else []

    def leave_SimpleStatementLine(  # noqa: N802 - libcst's name
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        """Put our import on the line below."""
        del original_node
        pending, self._pending = self._pending, []
        lines = [cst.SimpleStatementLine([each]) for each in pending]
        return cst.FlattenSentinel([updated_node, *lines]) if lines else updated_node

    def leave_SimpleStatementSuite(  # noqa: N802 - libcst's name
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        """Put our import after the other statements on the line of an `if` or a `def`."""
        del original_node
        pending, self._pending = self._pending, []
        return updated_node.with_changes(body=[*updated_node.body, *pending]) if pending else updated_node


def _lines(text: str) -> list[str]:
    """Return the lines with their ends. Splits only at line feeds, as patch does."""
    return io.StringIO(text, newline="\n").readlines()


def _import(names: list[cst.ImportAlias]) -> cst.ImportFrom:
    return cst.ImportFrom(cst.Name(_PACKAGE), _without_comma(names))


def _without_comma(names: list[cst.ImportAlias]) -> list[cst.ImportAlias]:
    return [*names[:-1], names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)]


def _timeout(value: cst.BaseExpression) -> cst.Dict:
    return cst.Dict([cst.DictElement(cst.SimpleString('"attemptDurationSeconds"'), value)])
