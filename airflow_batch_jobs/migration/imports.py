"""Imports: what a DAG file imports after the migration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from airflow_batch_jobs.migration.counterparts import COUNTERPARTS, MODULES, OURS, PACKAGE
from airflow_batch_jobs.migration.layout import Item, Items
from airflow_batch_jobs.migration.reading import module_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from airflow_batch_jobs.migration.names import Names
    from airflow_batch_jobs.migration.provider_uses import ProviderUses


class Replaced(NamedTuple):
    """What becomes of an import.

    Attributes:
        kept: What is left of it, if anything is.
        added: The imports of our classes, and of the provider's that came from another file.
        comments: Comments that stood by what is not kept, for the lines above what is added.
        comment: Likewise, for the end of its line.
    """

    kept: cst.Import | cst.ImportFrom | None
    added: Sequence[cst.ImportFrom] = ()
    comments: Sequence[cst.EmptyLine] = ()
    comment: cst.TrailingWhitespace | None = None


class Imports:
    """Rewrites the imports of a module, from its top to its end.

    Args:
        module: The module.
        names: Its names.
        uses: The uses of the provider's classes in it.
    """

    def __init__(self, module: cst.Module, names: Names, uses: ProviderUses) -> None:
        self._uses = uses
        self._known = names
        self._step = module.default_indent
        statements = (each for line in module.body if isinstance(line, cst.SimpleStatementLine) for each in line.body)
        self._at_top = [each for each in statements if isinstance(each, (cst.Import, cst.ImportFrom))]
        #: The names of our classes that the module imports anyway, and those that it has imported so far.
        self._ours = {name for each in self._at_top for name in _our_names(each)}
        self._so_far: set[str] = set()
        #: Those that are imported further up than they were.
        self._moved_up: set[str] = set()
        self._may_go = True

    def rewrite(self, node: cst.Import | cst.ImportFrom, *, may_go: bool) -> Replaced:
        """Return what becomes of an import.

        Args:
            node: The import; imports are to be given in the order of the file.
            may_go: Whether its line can go if all that it imports is there already.
        """
        self._may_go = may_go
        replaced = self._names(node) if isinstance(node, cst.ImportFrom) else self._modules(node)
        if node in self._at_top:
            now = {name for each in (replaced.kept, *replaced.added) for name in _our_names(each)}
            self._so_far |= now
            self._moved_up |= now.difference(_our_names(node))
        return replaced

    def _names(self, node: cst.ImportFrom) -> Replaced:
        if isinstance(node.names, cst.ImportStar):
            return self._all_names(node)
        gone: dict[cst.ImportAlias, cst.ImportAlias | None] = {}
        added: dict[str, cst.ImportAlias] = {}
        indirect = self._uses.indirect.get(node, {})
        for alias in node.names:
            if self._may_go and node in self._at_top and not self._moved_up.isdisjoint(_our_names(node, alias)):
                gone[alias] = None
                continue
            [full_name, *_] = self._known.imported(node, alias.evaluated_name)
            keep, ours = self._imported(full_name, alias)
            if ours is not None and _name(ours) in added:
                ours = None
            if ours is not None:
                added[_name(ours)] = ours
            if not keep or _name(alias) in indirect:
                gone[alias] = ours
        names = _ImportedNames(node, self._step)
        imports = [*_imports(added), *map(_direct, indirect, indirect.values())]
        if len(gone) < len(node.names):
            dropped = names.drop(gone, keep_comments=not imports)
            if not imports:
                return Replaced(names.to_import())
            return Replaced(names.to_import(), imports, *_comments(dropped))
        if not added or indirect:
            return Replaced(None, imports)
        names.drop({alias for alias, ours in gone.items() if ours is None})
        names.put(gone)
        return Replaced(names.to_import().with_changes(module=cst.Name(PACKAGE), relative=()))

    def _all_names(self, node: cst.ImportFrom) -> Replaced:
        """Import our classes beside `import *` from another file that has the provider's."""
        added: dict[str, cst.ImportAlias] = {}
        for name, full_name in self._known.starred(node):
            last = full_name.rpartition(".")[2]
            alias = cst.ImportAlias(cst.Name(last), cst.AsName(cst.Name(name)) if name != last else None)
            if (ours := self._imported(full_name, alias, stays=True)[1]) is not None:
                added[_name(ours)] = ours
        indirect = self._uses.indirect.get(node, {})
        return Replaced(node, [*_imports(added), *map(_direct, indirect, indirect.values())])

    def _modules(self, node: cst.Import) -> Replaced:
        """Import our classes beside a module of the provider's, or instead of it if nothing else uses it."""
        added: dict[str, cst.ImportAlias] = {}
        for alias in node.names:
            keep, ours = self._imported(alias.evaluated_name, alias)
            if not keep and alias.asname and len(node.names) == 1:
                return Replaced(None, _imports({_name(ours): ours} if ours else {}))
            if ours is not None:
                added[_name(ours)] = ours
        return Replaced(node, _imports(added))

    def _imported(
        self, full_name: str, alias: cst.ImportAlias, *, stays: bool = False
    ) -> tuple[bool, cst.ImportAlias | None]:
        """Return whether an import is still needed, or stays anyway, and what is to be imported from this package."""
        uses = self._uses
        if full_name not in COUNTERPARTS:
            used = sorted(each for each in uses.by_module if each.startswith(f"{full_name}."))
            if not used:
                return True, None
            others = (f"{each}." for each in uses.elsewhere | uses.left)
            keep = stays or full_name not in MODULES or any(each.startswith(f"{full_name}.") for each in others)
            ours = COUNTERPARTS[used[0]].name
            return keep, cst.ImportAlias(cst.Name(ours)) if self._is_needed(ours, keep=keep) else None
        ours, keep = COUNTERPARTS[full_name].name, stays or full_name in uses.left
        if keep and full_name not in uses.by_name:
            return True, None
        here = uses.our_name(_name(alias), [full_name])
        if here != ours:
            return keep, alias.with_changes(name=cst.Name(ours))
        return keep, alias.with_changes(name=cst.Name(ours), asname=None) if self._is_needed(ours, keep=keep) else None

    def _is_needed(self, name: str, *, keep: bool) -> bool:
        """Whether one of our classes is to be imported here.

        Args:
            name: Its name.
            keep: Whether the import stays as well, so that an earlier migration may have put ours below.
        """
        return not self._may_go or name not in (self._ours | self._so_far if keep else self._so_far)


class _ImportedNames:
    """The names of an import, in order."""

    def __init__(self, node: cst.ImportFrom, step: str) -> None:
        opening = node.lpar.whitespace_after if node.lpar else node.whitespace_after_import
        closing = node.rpar.whitespace_before if node.rpar else cst.SimpleWhitespace("")
        names = () if isinstance(node.names, cst.ImportStar) else node.names
        self._node = node
        self._list = Items(opening, names, closing, step)

    def drop(self, names: Container[cst.ImportAlias], *, keep_comments: bool = True) -> list[Item]:
        return self._list.drop(lambda each: each in names, keep_comments=keep_comments)

    def put(self, names: Mapping[cst.ImportAlias, cst.ImportAlias | None]) -> None:
        """Put other names where these are."""
        for index, item in enumerate(self._list.items):
            if (name := names[item.node]) is not None:
                self._list.items[index] = replace(item, node=name.with_changes(comma=item.node.comma))

    def to_import(self) -> cst.ImportFrom:
        node = self._node
        before, names, closing = self._list.put_back()
        if node.lpar is None or node.rpar is None:
            return node.with_changes(names=names)
        rpar = node.rpar if closing is None else node.rpar.with_changes(whitespace_before=closing)
        return node.with_changes(lpar=node.lpar.with_changes(whitespace_after=before), names=names, rpar=rpar)


def _comments(dropped: Sequence[Item]) -> tuple[list[cst.EmptyLine], cst.TrailingWhitespace | None]:
    """Return the comments of names that are dropped: those for lines of their own, and one for the end of a line."""
    end = dropped[-1].comment if dropped else None
    lines = [cst.EmptyLine(comment=line.comment) for item in dropped for line in item.own_lines("") if line.comment]
    return lines[:-1] if end else lines, end


def _our_names(node: cst.CSTNode | None, *aliases: cst.ImportAlias) -> Iterator[str]:
    """Yield the names of our classes that an import imports under these names; only those given, if any are."""
    if not isinstance(node, cst.ImportFrom) or isinstance(node.names, cst.ImportStar):
        return
    for alias in aliases or node.names:
        if alias.asname is None and f"{module_of(node)}.{alias.evaluated_name}" in OURS:
            yield alias.evaluated_name


def _name(alias: cst.ImportAlias) -> str:
    return alias.evaluated_alias or alias.evaluated_name


def _imports(names: Mapping[str, cst.ImportAlias]) -> list[cst.ImportFrom]:
    """Return the import of our classes, if there are any."""
    return [cst.ImportFrom(cst.Name(PACKAGE), _last_without_comma([*names.values()]))] if names else []


def _direct(name: str, full_name: str) -> cst.ImportFrom:
    """Return the import of something of the provider's by a name."""
    module, _, last = full_name.rpartition(".")
    code = f"from {module} import {last}" + (f" as {name}" if name != last else "")
    return cst.ensure_type(cst.ensure_type(cst.parse_statement(code), cst.SimpleStatementLine).body[0], cst.ImportFrom)


def _last_without_comma(names: list[cst.ImportAlias]) -> list[cst.ImportAlias]:
    return [*names[:-1], names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)]
