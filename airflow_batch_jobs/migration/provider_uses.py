"""ProviderUses: where a DAG file uses the provider's BatchOperator and BatchSensor, and what can be rewritten."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import (
    ImportAssignment,
    ParentNodeProvider,
    QualifiedNameProvider,
    QualifiedNameSource,
    Scope,
    ScopeProvider,
)

from airflow_batch_jobs.migration.counterparts import COUNTERPARTS, LINK_KEYS, Counterpart
from airflow_batch_jobs.migration.judge import Judge
from airflow_batch_jobs.migration.reading import constants, module_of, text_of, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The provider's modules that the classes are in.
MODULES = frozenset(full_name.rpartition(".")[0] for full_name in COUNTERPARTS)
_EXPANSIONS = frozenset({"expand", "expand_kwargs"})


class ProviderUses(cst.CSTVisitor):
    """Every use of the two classes in a module.

    Args:
        module: The module that the metadata is about.
        pins: Revisions by the names of definitions.

    Attributes:
        calls: The calls whose arguments can be rewritten, including `.partial(…)`.
        expansions: The `.expand(…)` calls of these.
        renamed: The names and attributes that are to become our class, with the full name of the provider's.
        left: The full names of the classes that are used in a way that has to stay.
        elsewhere: What else is used from the provider's modules, as `module.name`.
        ours: What the module imports from this package at its top level.
        notes: What a person has to do, by the statement that the comment goes above.
    """

    METADATA_DEPENDENCIES = (ParentNodeProvider, QualifiedNameProvider, ScopeProvider)

    def __init__(self, module: cst.Module, pins: Mapping[str, int]) -> None:
        super().__init__()
        self.calls: dict[cst.Call, Counterpart] = {}
        self.expansions: dict[cst.Call, Counterpart] = {}
        self.renamed: dict[cst.CSTNode, str] = {}
        self.left: set[str] = set()
        self.elsewhere: set[str] = set()
        self.ours: set[str] = set()
        self.notes: dict[cst.CSTNode, list[str]] = {}
        self._judge = Judge(pins, constants(module))
        self._annotations: list[tuple[cst.CSTNode, str]] = []
        #: The names of variables, each with what may be the class of its task.
        self._tasks: list[tuple[str, cst.CSTNode]] = []
        self._attributes: list[cst.Attribute] = []
        #: What is to be said only if there is a use.
        self._asides: list[tuple[cst.CSTNode, str]] = []
        self._imports: dict[str, cst.CSTNode] = {}

    def visit_Module(self, node: cst.Module) -> None:  # noqa: N802 - libcst's name
        """Look for other classes with the same name as ours."""
        scope = self.get_metadata(ScopeProvider, node)
        self._taken = {
            one.name for one in COUNTERPARTS.values() if isinstance(scope, Scope) and _is_taken(scope, one.name)
        }

    def leave_Module(self, original_node: cst.Module) -> None:  # noqa: N802 - libcst's name
        """Decide what depends on all uses."""
        del original_node
        for node, full_name in self._annotations:
            if full_name in self.left:
                self._note(node, f"{_short(full_name)} is still used in this file, so this annotation was left")
            else:
                self.renamed[node] = full_name
        for full_name, statement in self._imports.items():
            if full_name not in self.left and full_name not in self.renamed.values():
                self.left.add(full_name)
                finding = f"{_short(full_name)} is imported but not used here: check who imports it from here"
                self._note(statement, finding)
        if not (self.renamed or self.left):
            return
        for node, finding in self._asides:
            self._note(node, finding)
        tasks = {name: COUNTERPARTS[self.renamed[node]] for name, node in self._tasks if node in self.renamed}
        for attribute in self._attributes:
            name, attr = cst.ensure_type(attribute.value, cst.Name).value, attribute.attr.value
            if name in tasks and attr in tasks[name].absent:
                instead = f"; the job's id is {name}.output" if attr == "job_id" else ""
                self._note(attribute, f"{tasks[name].name} has no attribute {attr}{instead}")

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:  # noqa: N802 - libcst's name
        """Take note of what is imported; names in an import are not uses."""
        module = module_of(node)
        is_at_top = isinstance(self._parent(self._parent(node)), cst.Module)
        if module == "airflow_batch_jobs" and is_at_top and not isinstance(node.names, cst.ImportStar):
            self.ours |= {cst.ensure_type(each.name, cst.Name).value for each in node.names if each.asname is None}
        if module in MODULES:
            if isinstance(node.names, cst.ImportStar):
                self._note(node, "import by name what you use from this module; then migrate again")
            else:
                names = {f"{module}.{each.evaluated_name}": node for each in node.names}
                self._imports |= {name: node for name in names if name in COUNTERPARTS}
        return False

    def visit_Import(self, node: cst.Import) -> bool:  # noqa: N802 - libcst's name
        """Skip imports of modules: names in an import are not uses."""
        del node
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:  # noqa: N802 - libcst's name
        """Look only at the value: a keyword is not a use of the name."""
        name = node.keyword.value if node.keyword else ""
        if name == "default_args":
            self._look_at_defaults(node.value)
        elif name == "key" and text_of(node.value) in LINK_KEYS:
            self._note_link_key(node)
        node.value.visit(self)
        return False

    def visit_Attribute(self, node: cst.Attribute) -> bool:  # noqa: N802 - libcst's name
        """Look for `batch.BatchOperator`, and for attributes of tasks."""
        if self._look_up(node):
            return False
        if isinstance(node.value, cst.Name):
            self._attributes.append(node)
        node.value.visit(self)
        return False

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802 - libcst's name
        """Look for `BatchOperator`."""
        self._look_up(node)

    def visit_Assign(self, node: cst.Assign) -> None:  # noqa: N802 - libcst's name
        """Look for default arguments, and remember the tasks by name."""
        for target in node.targets:
            self._assign(target.target, node.value)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:  # noqa: N802 - libcst's name
        """Likewise."""
        self._assign(node.target, node.value)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:  # noqa: N802 - libcst's name
        """Look for templates that pull the XComs of the provider's links."""
        self._look_at_text(node, text_of(node) or "")

    def visit_FormattedStringText(self, node: cst.FormattedStringText) -> None:  # noqa: N802 - libcst's name
        """Likewise."""
        self._look_at_text(node, node.value)

    def _look_up(self, node: cst.Name | cst.Attribute) -> bool:
        """Handle a name that stands for one of the classes, and tell whether it does."""
        names = self.get_metadata(QualifiedNameProvider, node, set())
        full_name = next((each.name for each in names if each.source is QualifiedNameSource.IMPORT), "")
        if full_name in COUNTERPARTS:
            self._use(node, full_name)
            return True
        if full_name in MODULES or full_name.rpartition(".")[0] in MODULES:
            self.elsewhere.add(full_name)
            return isinstance(node, cst.Attribute)
        return False

    def _use(self, node: cst.Name | cst.Attribute, full_name: str) -> None:
        """Decide what becomes of one use."""
        counterpart, parent = COUNTERPARTS[full_name], self._parent(node)
        why = f"another {counterpart.name} is defined in this file" if counterpart.name in self._taken else ""
        if isinstance(parent, cst.Call) and parent.func is node:
            self._call(node, full_name, [parent], why or _why_left(counterpart, parent))
        elif chain := self._chain(node):
            self._call(node, full_name, chain, why or _why_left(counterpart, *chain))
        elif self._is_annotation(node) and not why:
            self._annotations.append((node, full_name))
        else:
            is_base = isinstance(parent, cst.Arg) and isinstance(self._parent(parent), cst.ClassDef)
            self._leave(node, full_name, why or ("a subclass of it" if is_base else "a use of it that is not a call"))

    def _call(self, node: cst.CSTNode, full_name: str, calls: list[cst.Call], why: str) -> None:
        """Take a call, or a `.partial(…)` with its `.expand(…)`."""
        if why:
            self._leave(node, full_name, why)
            return
        counterpart = COUNTERPARTS[full_name]
        self.renamed[node] = full_name
        self.calls[calls[0]] = counterpart
        for finding in self._judge.findings(counterpart, values_of(calls[0])):
            self._note(node, finding)
        for expansion in calls[1:]:
            self.expansions[expansion] = counterpart
            for finding in self._mapped(values_of(expansion)):
                self._note(node, finding)

    def _mapped(self, values: Mapping[str, cst.BaseExpression]) -> list[str]:
        definitions = values.get("job_definition")
        if isinstance(definitions, (cst.List, cst.Tuple)):
            return [finding for each in definitions.elements for finding in self._judge.definition(each.value)]
        return [] if definitions is None else list(self._judge.definition(definitions))

    def _chain(self, node: cst.CSTNode) -> list[cst.Call]:
        """Return `X.partial(…)` with the `.expand(…)` that follows it; nothing for anything else."""
        calls: list[cst.Call] = []
        for names in (frozenset({"partial"}), _EXPANSIONS):
            attribute = self._parent(node)
            if not isinstance(attribute, cst.Attribute) or attribute.attr.value not in names:
                break
            call = self._parent(attribute)
            if not isinstance(call, cst.Call) or call.func is not attribute:
                break
            calls.append(call)
            node = call
        return calls

    def _is_annotation(self, node: cst.CSTNode) -> bool:
        """Whether a name is in an annotation, but not in a call there."""
        while not isinstance(node, (cst.Annotation, cst.Call, cst.BaseStatement, cst.BaseSmallStatement, cst.Module)):
            node = self._parent(node)
        return isinstance(node, cst.Annotation)

    def _assign(self, target: cst.BaseExpression, value: cst.BaseExpression | None) -> None:
        if not isinstance(target, cst.Name) or value is None:
            return
        if "default_args" in target.value:
            self._look_at_defaults(value)
        made: cst.CSTNode = value
        while isinstance(made, (cst.Call, cst.Attribute)):
            # `BatchOperator`, `batch.BatchOperator`, or what comes before `.partial(…).expand(…)`
            inner = made.func if isinstance(made, cst.Call) else made.value
            if isinstance(inner, (cst.Name, cst.Attribute)):
                self._tasks.append((target.value, inner))
            made = inner

    def _look_at_defaults(self, node: cst.BaseExpression) -> None:
        operator = next(one for one in COUNTERPARTS.values() if one.options)
        for element in node.elements if isinstance(node, cst.Dict) else ():
            key = (text_of(element.key) if isinstance(element, cst.DictElement) else None) or ""
            if key in operator.renamed:
                finding = f"{key} is called {operator.renamed[key]} in {operator.name}"
            elif key in operator.options:
                finding = f"{key} is {operator.options[key]} in the submit_options of {operator.name}"
            elif key in operator.dropped:
                finding = f"{operator.name} takes no {key}"
            else:
                continue
            self._asides.append((node, f"default_args: {finding}"))

    def _look_at_text(self, node: cst.CSTNode, text: str) -> None:
        if "xcom_pull" in text and LINK_KEYS & set(re.findall(r"\w+", text)):
            self._note_link_key(node)

    def _note_link_key(self, node: cst.CSTNode) -> None:
        finding = "this XCom is gone; the XCom batch_job has the job, its definition, queue and log"
        self._asides.append((node, finding))

    def _leave(self, node: cst.CSTNode, full_name: str, why: str) -> None:
        self.left.add(full_name)
        self._note(node, f"{_short(full_name)} was left here: {why}")

    def _note(self, node: cst.CSTNode, finding: str) -> None:
        """Keep a finding for the statement that a node is in."""
        while not hasattr(node, "leading_lines"):
            node = self._parent(node)
        findings = self.notes.setdefault(node, [])
        if finding not in findings:
            findings.append(finding)

    def _parent(self, node: cst.CSTNode) -> cst.CSTNode:
        parent = self.get_metadata(ParentNodeProvider, node)
        assert isinstance(parent, cst.CSTNode)  # noqa: S101 - the provider's type says less
        return parent


def _why_left(counterpart: Counterpart, call: cst.Call, *expansions: cst.Call) -> str:
    """Say why a call cannot be rewritten; empty if it can."""
    if any(arg.keyword is None for each in (call, *expansions) for arg in each.args):
        return "not all arguments are given by name in the call"
    func = call.func
    if isinstance(func, cst.Attribute) and func.attr.value == "partial" and not expansions:
        return "partial and expand are not in one expression"
    for name in (name for each in expansions for name in values_of(each)):
        if name in counterpart.options:
            return f"it maps {name}; map submit_options with {counterpart.options[name]} in it"
        if name in counterpart.dropped or name == "mode":
            return f"it maps {name}, which {counterpart.name} does not take"
    return ""


def _is_taken(scope: Scope, name: str) -> bool:
    """Whether a scope has something of this name that is not imported from this package."""
    return any(
        not isinstance(each, ImportAssignment) or not each.get_module_name_for_import().startswith("airflow_batch_jobs")
        for each in scope[name]
    )


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]
