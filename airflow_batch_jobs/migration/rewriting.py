"""Rewriting: a module as it is after the migration, with comments for what is left to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import libcst as cst

from airflow_batch_jobs.migration.call_arguments import CallArguments
from airflow_batch_jobs.migration.imports import Imports
from airflow_batch_jobs.migration.judge import is_left_out
from airflow_batch_jobs.migration.notes import MARK
from airflow_batch_jobs.migration.reading import DOTTED, dotted, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_batch_jobs.migration.names import Names
    from airflow_batch_jobs.migration.notes import Notes
    from airflow_batch_jobs.migration.provider_uses import ProviderUses
    from airflow_batch_jobs.migration.revisions import Revisions


class Rewriting(cst.CSTTransformer):
    """Does what was found, and goes only where there is something to do."""

    def __init__(
        self, module: cst.Module, names: Names, uses: ProviderUses, revisions: Revisions, notes: Notes
    ) -> None:
        super().__init__()
        self._module = module
        self._parent = names.parent
        self._uses = uses
        self._replacements = revisions.replacements
        self._notes = notes
        self._imports = Imports(module, names, uses)
        imports = (*names.of(cst.Import), *names.of(cst.ImportFrom)) if uses.renamed or uses.indirect else ()
        places: Iterable[cst.CSTNode] = (
            *uses.renamed,
            *uses.calls,
            *uses.expansions,
            *self._replacements,
            *notes.above,
            *notes.done,
            *imports,
        )
        #: What leads to something to do.
        self._touched: set[cst.CSTNode] = {module}
        for place in places:
            node = place
            while node not in self._touched:
                self._touched.add(node)
                node = names.parent(node)

    def code(self) -> str:
        """Return the module's code after the migration."""
        if len(self._touched) == 1:
            return self._module.code
        return self._module.visit(self).code

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Go only where there is something to do."""
        return node in self._touched

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Write what was found, with the comments for a person above the statements."""
        if original_node not in self._touched:
            return updated_node
        if (replacement := self._replacements.get(original_node)) is not None:
            return replacement
        if (full_names := self._uses.renamed.get(original_node)) is not None:
            return self._renamed(original_node, full_names)
        above, done = self._notes.above.get(original_node, {}), self._notes.done.get(original_node, set())
        if above or done:
            lines = _without(updated_node.leading_lines, done)
            lines += [cst.EmptyLine(comment=cst.Comment(f"{MARK}{finding}")) for finding in above]
            updated_node = updated_node.with_changes(leading_lines=lines)
        return super().on_leave(original_node, updated_node)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:  # noqa: N802 - libcst's name
        """Take the first statement's comments from the top of the file."""
        done = self._notes.done.get(original_node.body[0], set()) if original_node.body else set()
        return updated_node.with_changes(header=_without(updated_node.header, done)) if done else updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:  # noqa: N802 - libcst's name
        """Name, rename, move and drop arguments."""
        arguments = CallArguments(updated_node, self._module.default_indent)
        if use := self._uses.calls.get(original_node):
            counterpart, given = use.counterpart, values_of(original_node, use.positional)
            arguments.name(use.positional)
            arguments.drop(lambda argument: is_left_out(counterpart, argument, given))
            arguments.change("submit_job_timeout", _timeout)
            arguments.gather("submit_options", counterpart.options)
        elif not (use := self._uses.expansions.get(original_node)):
            return updated_node
        arguments.rename(use.counterpart.renamed)
        return arguments.to_call()

    def leave_SimpleStatementLine(  # noqa: N802 - libcst's name
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine] | cst.RemovalSentinel:
        """Rewrite the imports on a line; what is added goes on a line of its own."""
        [first, *others] = original_node.body
        if others or not isinstance(first, (cst.Import, cst.ImportFrom)):
            return updated_node.with_changes(body=self._with_imports(updated_node.body))
        has_comment = "#" in self._module.code_for_node(updated_node)
        is_alone = len(getattr(self._parent(original_node), "body", ())) == 1
        replaced = self._imports.rewrite(first, may_go=not (has_comment or is_alone))
        imports = [*([replaced.kept] if replaced.kept else ()), *replaced.added]
        if not imports:
            return cst.RemoveFromParent()
        lines = [
            updated_node.with_changes(body=imports[:1]),
            *(cst.SimpleStatementLine([each]) for each in imports[1:]),
        ]
        if len(lines) > 1:
            end = replaced.comment or cst.TrailingWhitespace()
            lines[1] = lines[1].with_changes(leading_lines=replaced.comments, trailing_whitespace=end)
        return cst.FlattenSentinel(lines) if len(lines) > 1 else lines[0]

    def leave_SimpleStatementSuite(  # noqa: N802 - libcst's name
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        """Rewrite the imports on the line of an `if` or a `def`."""
        del original_node
        return updated_node.with_changes(body=self._with_imports(updated_node.body))

    def _with_imports(self, statements: Sequence[cst.BaseSmallStatement]) -> list[cst.BaseSmallStatement]:
        """Return the statements on a line with their imports rewritten; what is added comes right behind."""
        written: list[cst.BaseSmallStatement] = []
        for each in statements:
            if isinstance(each, (cst.Import, cst.ImportFrom)):
                replaced = self._imports.rewrite(each, may_go=False)
                written += [*([replaced.kept] if replaced.kept else ()), *replaced.added]
            else:
                written.append(each)
        return [*(each.with_changes(semicolon=_semicolon(each)) for each in written[:-1]), *written[-1:]]

    def _renamed(
        self, node: cst.Name | cst.Attribute | cst.SimpleString, full_names: Sequence[str]
    ) -> cst.BaseExpression:
        """Return the name of our class instead of that of the provider's."""
        if isinstance(node, cst.SimpleString):
            ours = {name: self._uses.our_name(name, names) for name, names in self._uses.in_quotes(node).items()}
            return node.with_changes(value=DOTTED.sub(lambda match: ours.get(match[0], match[0]), node.value))
        return cst.Name(self._uses.our_name(dotted(node), full_names), lpar=node.lpar, rpar=node.rpar)


def _without(lines: Sequence[cst.EmptyLine], done: set[str]) -> list[cst.EmptyLine]:
    """Return lines without the comments about what is done."""
    return [each for each in lines if each.comment is None or each.comment.value.removeprefix(MARK) not in done]


def _semicolon(statement: cst.BaseSmallStatement) -> cst.Semicolon:
    there = statement.semicolon
    return there if isinstance(there, cst.Semicolon) else cst.Semicolon(whitespace_after=cst.SimpleWhitespace(" "))


def _timeout(value: cst.BaseExpression) -> cst.Dict:
    return cst.Dict([cst.DictElement(cst.SimpleString('"attemptDurationSeconds"'), value)])
