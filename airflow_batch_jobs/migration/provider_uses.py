"""ProviderUses: where a DAG file uses the provider's BatchOperator and BatchSensor, and what can be rewritten."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from airflow_batch_jobs.migration import judge
from airflow_batch_jobs.migration.composed_texts import composed_names
from airflow_batch_jobs.migration.counterparts import (
    CLASSES,
    COUNTERPARTS,
    MODULES,
    OURS,
    POSITIONAL,
    PRESENT,
    Counterpart,
)
from airflow_batch_jobs.migration.reading import DOTTED, dotted, last_name, module_of, text_of, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_batch_jobs.migration.names import Names
    from airflow_batch_jobs.migration.notes import Notes
    from airflow_batch_jobs.migration.revisions import Revisions
    from airflow_batch_jobs.migration.values import Values

    Reference = cst.Name | cst.Attribute

_EXPANSIONS = frozenset({"expand", "expand_kwargs"})
_NAMES_A_CLASS = "this text names a class of the provider's; ours are in airflow_batch_jobs"
_MAY_NAME_A_CLASS = "this text may name a class of the provider's; ours are in airflow_batch_jobs"
_NAMES_A_MODULE = "this text names a module of the provider's; our classes are in airflow_batch_jobs"
#: An import in a text, as of a program that writes DAGs.
_IMPORT = re.compile(r"\b(?:from|import) (?:" + "|".join(map(re.escape, sorted(MODULES))) + r")\b")
#: Functions whose second argument is the name of something that the first one has; `object` is `patch.object`.
BY_NAME = frozenset({"delattr", "getattr", "hasattr", "object", "setattr"})
_TYPE_CHECKS = frozenset({"isinstance", "issubclass"})
_SHARED = "as a global or nonlocal name, or in a class; import it at the top of the file"
#: Methods that Airflow calls.
_METHODS = frozenset({"execute", "poke"})
_IN_TEXTS = CLASSES | {module.rpartition(".")[2] for module in MODULES}
_ALL_NAMES = MODULES | COUNTERPARTS.keys() | OURS.keys()
#: What a class that imports it has as an attribute.
_MEMBERS = MODULES | COUNTERPARTS.keys()


class Rewritten(NamedTuple):
    """A call that is rewritten.

    Attributes:
        counterpart: What it becomes a call of.
        positional: The names of the arguments that are given without one.
    """

    counterpart: Counterpart
    positional: Sequence[str] = ()


class ProviderUses:
    """Every use of the two classes in a module.

    Args:
        names: The names of the module.
        values: Its values.
        revisions: The revisions of its definitions.
        notes: Where to say what a person has to do.

    Attributes:
        calls: The calls whose arguments are rewritten, including `.partial(…)`.
        expansions: The `.expand(…)` calls of these.
        tasks: The class of a task, by the expression that makes it.
        missing: What rewritten calls must have and do not give themselves, with the reference to the class.
        renamed: The references that become our class, with the full names of the provider's; also in quotes.
        by_name: The full names of the provider's classes that these stand for, where the file writes no module.
        by_module: Likewise, where it does.
        left: The full names of the classes, or of modules of theirs, that are used in a way that has to stay.
        elsewhere: What else is used from the provider's modules, as `module.name`.
        indirect: What is left and comes from another file, which may no longer have it: the full name of what each name
            there stands for.
        stayed: What is said of each use that is left.
    """

    def __init__(self, names: Names, values: Values, revisions: Revisions, notes: Notes) -> None:
        self.calls: dict[cst.Call, Rewritten] = {}
        self.expansions: dict[cst.Call, Rewritten] = {}
        self.tasks: dict[cst.CSTNode, Counterpart] = {}
        self.missing: list[tuple[Reference, Counterpart, str]] = []
        self.renamed: dict[Reference | cst.SimpleString, Sequence[str]] = {}
        self.by_name: set[str] = set()
        self.by_module: set[str] = set()
        self.left: set[str] = set()
        self.elsewhere: set[str] = set()
        self.indirect: dict[cst.ImportFrom, dict[str, str]] = {}
        self.stayed: list[str] = []
        self.values = values
        self._names = names
        self._names_modules = False
        self._revisions = revisions
        self._notes = notes
        self._annotations: list[tuple[Reference | cst.SimpleString, Sequence[str]]] = []
        ours = {one.name for one in OURS.values()}
        leading = {".".join(name.split(".")[:end]) for name in _ALL_NAMES for end in range(1, name.count(".") + 2)}
        bindings = list(names.all_bindings())
        self._taken = {name for name, each in bindings if name in ours and each.imported not in OURS}
        self._executed = set(self._what_is_executed())
        looked_up = {name for name, each in bindings if each.imported in leading}
        for name in names.of(cst.Name):
            if name.value in looked_up and names.is_read(name):
                self._look_up(name)
        for text in names.of(cst.SimpleString):
            if any(each in text.value for each in _IN_TEXTS) and not isinstance(names.parent(text), cst.Expr):
                self._look_at_text(text)
        for part in names.of(cst.FormattedStringText):
            if _is_code(part.value):
                self.stay(part, _NAMES_A_MODULE)
        for composed in composed_names(names):
            self._names_modules = True
            self.stay(composed, "this may name a module of the provider's; our classes are in airflow_batch_jobs")
        self._look_at_getattr()
        self._look_at_imports()
        self._decide_annotations()

    def our_name(self, name: str, full_names: Sequence[str]) -> str:
        """Return what one of the classes is called after the migration.

        Args:
            name: What the file calls it, with its module if it writes that.
            full_names: Its full names.
        """
        # A name that the file has chosen can stay, unless both classes need one.
        if "." not in name and name not in CLASSES and self.left.isdisjoint(full_names):
            return name
        return COUNTERPARTS[full_names[0]].name

    def full_names(self, place: cst.CSTNode, name: str) -> tuple[list[str], bool]:
        """Return the full names of what a name stands for, and whether that may be something else as well.

        Args:
            place: Where it is read.
            name: The name, which may have dots.
        """
        first, dot, rest = name.partition(".")
        bindings = self._names.bindings(place, first)
        found = sorted({f"{each.imported}{dot}{rest}" for each in bindings if each.imported})
        known = [each for each in found if each in COUNTERPARTS]
        is_mixed = len(known) < len(found) or not all(each.imported and not each.is_shared for each in bindings)
        return known or found, is_mixed or len({COUNTERPARTS[each].name for each in known}) > 1

    def in_quotes(self, node: cst.SimpleString) -> dict[str, Sequence[str]]:
        """Return the names in a quoted annotation that stand for one of the classes, with their full names."""
        found = ((name, *self.full_names(node, name)) for name in DOTTED.findall(node.value))
        return {name: names for name, names, is_mixed in found if not is_mixed and names and names[0] in COUNTERPARTS}

    def stay(self, node: cst.CSTNode, finding: str) -> None:
        """Say what is to be done about a use that is none of a name that is known."""
        self.stayed.append(finding)
        self._notes.add(node, finding)

    def _leave(self, node: cst.CSTNode, full_names: Sequence[str], why: str) -> None:
        """Say that a use stays, and why."""
        self.left.update(full_names)
        gone = "" if full_names[0] in PRESENT else ", which the provider no longer has,"
        self.stay(node, f"{short(full_names)}{gone} was left here: {why}")
        first = dotted(node).partition(".")[0]
        for place, full_name, *_ in self._names.bindings(node, first) if first else ():
            if not isinstance(place, cst.ImportFrom) or full_name not in _ALL_NAMES:
                continue
            if not full_name.startswith(f"{module_of(place)}."):
                known = self.indirect.setdefault(place, {})
                known[first] = max(known.get(first, ""), full_name, key=lambda name: name in PRESENT)

    def _look_up(self, name: cst.Name) -> None:
        """Handle a name if it stands for one of the classes, or leads to one."""
        node: Reference = name
        while True:
            full_names, is_mixed = self.full_names(name, dotted(node))
            if full_names and full_names[0] in COUNTERPARTS:
                self._use(node, full_names, is_mixed=is_mixed)
                return
            if any(each in OURS for each in full_names):
                self._pin(node)
                return
            parent = self._names.parent(node)
            if not (isinstance(parent, cst.Attribute) and parent.value is node):
                self.elsewhere |= {each for each in full_names if each.startswith(tuple(MODULES))}
                return
            node = parent

    def _use(self, node: Reference, full_names: Sequence[str], *, is_mixed: bool) -> None:
        """Decide what becomes of one use."""
        name, parent = COUNTERPARTS[full_names[0]].name, self._names.parent(node)
        why = f"another {name} is defined in this file" if name in self._taken else ""
        if is_mixed:
            first = dotted(node).partition(".")[0]
            is_shared = any(each.is_shared for each in self._names.bindings(node, first))
            why = f"{first} is imported {_SHARED}"
            why = why if is_shared else f"{dotted(node)} may be something else here"
        if chain := self._chain(node):
            self._call(node, full_names, chain, why)
        elif self._is_annotation(node) and not why:
            self._annotations.append((node, full_names))
        else:
            self._leave(node, full_names, why or self._why_no_call(parent, name))

    def _why_no_call(self, parent: cst.CSTNode, ours: str) -> str:
        """Say what a use is that is no call, and what is to be done about it."""
        call = self._names.parent(parent) if isinstance(parent, cst.Arg) else None
        if isinstance(call, cst.ClassDef):
            return "a subclass of it"
        if not isinstance(call, cst.Call):
            return f"a use of it that is not a call; put {ours} here, and rename the arguments where it is called"
        if last_name(call.func) in _TYPE_CHECKS:
            return f"a use of it that is not a call; check for {ours} as well"
        passed_to = dotted(call.func) or "a call"
        arguments = "the arguments" if last_name(call.func) == "partial" else "its arguments there"
        return f"it is passed to {passed_to}; pass {ours}, and rename {arguments}, by hand"

    def _call(self, node: Reference, full_names: Sequence[str], chain: Sequence[cst.Call], why: str) -> None:
        """Take a call, or a `.partial(…)` with its `.expand(…)`."""
        call, *expansions = chain
        positional = min((POSITIONAL.get(each, ()) for each in full_names), key=len)
        rewritten = Rewritten(COUNTERPARTS[full_names[0]], positional)
        given = values_of(call, positional)
        mapped = {name: value for each in expansions for name, value in values_of(each).items()}
        if why := why or self._why_left(chain, given, mapped) or judge.why_left(rewritten.counterpart, given, mapped):
            self._leave(node, full_names, why)
            return
        self._rename(node, full_names)
        self.calls[call] = rewritten
        self.expansions |= dict.fromkeys(expansions, rewritten)
        self.tasks[chain[-1]] = rewritten.counterpart
        missing = rewritten.counterpart.required - {*given, *mapped}
        self.missing += [(node, rewritten.counterpart, name) for name in sorted(missing)]
        for definition in (each["job_definition"] for each in (given, mapped) if "job_definition" in each):
            for finding in self._revisions.findings(definition):
                self._notes.add(node, finding)
        for finding in judge.findings(rewritten.counterpart, given, mapped):
            self._notes.add(node, finding)

    def _why_left(self, chain: Sequence[cst.Call], given: Mapping[str, object], mapped: Mapping[str, object]) -> str:
        """Say why a call cannot be rewritten, whatever its arguments are; empty if it can."""
        if len(given) + len(mapped) < sum(len(each.args) for each in chain):
            return "not all arguments are given by name in the call"
        func = chain[0].func
        if isinstance(func, cst.Attribute) and func.attr.value == "partial" and len(chain) == 1:
            return "partial and expand are not in one expression"
        if chain[-1] in self._executed:
            return "its execute is called; make it a task of its own, or write a @task.batch_job"
        return ""

    def _rename(self, node: Reference | cst.SimpleString, full_names: Sequence[str]) -> None:
        self.renamed[node] = full_names
        has_module = "." in (node.value if isinstance(node, cst.SimpleString) else dotted(node))
        (self.by_module if has_module else self.by_name).update(full_names)

    def _pin(self, node: Reference) -> None:
        """Write the revision into a call of our own class, if an earlier migration did not know it."""
        for call in self._chain(node):
            if (definition := values_of(call).get("definition")) is not None:
                for finding in self._revisions.pinned(definition):
                    self._notes.take_back(node, finding)

    def _chain(self, node: Reference) -> list[cst.Call]:
        """Return the call of a class, or `X.partial(…)` with the `.expand(…)` that follows it; else nothing."""
        parent = self._names.parent(node)
        if isinstance(parent, cst.Call):
            return [parent] if parent.func is node else []
        calls: list[cst.Call] = []
        made: cst.CSTNode = node
        for names in (frozenset({"partial"}), _EXPANSIONS):
            attribute = self._names.parent(made)
            call = self._names.parent(attribute)
            if not isinstance(attribute, cst.Attribute) or attribute.attr.value not in names:
                break
            if not isinstance(call, cst.Call) or call.func is not attribute:
                break
            calls.append(call)
            made = call
        return calls

    def _what_is_executed(self) -> Iterator[cst.CSTNode]:
        """Yield what makes the tasks that the file executes itself."""
        for attribute in self._names.of(cst.Attribute):
            if attribute.attr.value in _METHODS and isinstance(self._names.parent(attribute), cst.Call):
                yield from self.values.of(attribute.value)

    def _look_at_text(self, node: cst.SimpleString) -> None:
        """Handle a text that names one of the classes."""
        if self._is_annotation(node):
            self._annotations += [(node, full_names) for full_names in self.in_quotes(node).values()]
            return
        text = self._module_in(node) or text_of(node) or ""
        if full_names := self.in_quotes(node).get(text):
            is_exported = "__all__" in self._assigned(node)
            why = "it is in __all__; check who imports it from here" if is_exported else "a text that names it"
            self._leave(node, full_names, why)
        elif DOTTED.fullmatch(text) and any(f"{text}.".startswith(f"{each}.") for each in COUNTERPARTS):
            self.stay(node, _NAMES_A_CLASS)
        elif DOTTED.fullmatch(text) and "." in text and not CLASSES.isdisjoint(text.split(".")):
            self.stay(node, _MAY_NAME_A_CLASS)
        elif (text in MODULES and self._name_behind(node) in {"", *CLASSES}) or _is_code(text):
            self._names_modules = True
            self.stay(node, _NAMES_A_MODULE)

    def _look_at_getattr(self) -> None:
        """Look for classes that a text names in a module, unless that module is named by a text as well."""
        for call in self._names.of(cst.Call) if not self._names_modules else ():
            name = values_of(call, ("", "name")).get("name") if last_name(call.func) in BY_NAME else None
            if text_of(name) in CLASSES:
                self.stay(call, _NAMES_A_CLASS)

    def _module_in(self, node: cst.SimpleString) -> str:
        """Return the module that `import_module(".batch", "airflow…")` names; empty for any other text."""
        argument = self._names.parent(node)
        call = self._names.parent(argument)
        if not isinstance(argument, cst.Arg) or not isinstance(call, cst.Call):
            return ""
        given = values_of(call, ("name", "package"))
        name, package = text_of(node) or "", text_of(given.get("package")) or ""
        is_relative = last_name(call.func) == "import_module" and given.get("name") is node and name.startswith(".")
        return f"{package}{name}" if is_relative else ""

    def _name_behind(self, node: cst.SimpleString) -> str:
        """Return what is taken from the result of the call that a text is an argument of; empty if nothing is."""
        call = self._names.parent(self._names.parent(node))
        behind = self._names.parent(call)
        return behind.attr.value if isinstance(behind, cst.Attribute) and behind.value is call else ""

    def _assigned(self, node: cst.CSTNode) -> Iterator[str]:
        """Yield the names that a node is assigned or added to."""
        while not isinstance(node, (cst.BaseSmallStatement, cst.Module)):
            node = self._names.parent(node)
            if isinstance(node, cst.Call):  # __all__.append(…)
                yield dotted(node.func).rpartition(".")[0]
        targets = (
            [each.target for each in node.targets] if isinstance(node, cst.Assign) else [getattr(node, "target", None)]
        )
        yield from map(dotted, targets)

    def _look_at_imports(self) -> None:
        """Look for imports of the classes that the file itself has no use for, and of all that a module has."""
        used = self.left.union(*self.renamed.values(), *(names for _, names in self._annotations))
        for name, (node, full_name, *_) in self._names.all_bindings():
            is_of_class = full_name in _MEMBERS and isinstance(self._names.scope(node), cst.ClassDef)
            if is_of_class and not any(f"{each}.".startswith(f"{full_name}.") for each in used):
                used.add(full_name)
                self.left.add(full_name)
                self.stay(node, f"{name} was left here: it is imported {_SHARED}")
        for node in self._names.of(cst.ImportFrom):
            module = module_of(node)
            if module in MODULES and isinstance(node.names, cst.ImportStar):
                self.stay(node, "import by name what you use from this module; then migrate again")
            for alias in () if isinstance(node.names, cst.ImportStar) else node.names:
                full_name = f"{module}.{alias.evaluated_name}"
                if full_name in COUNTERPARTS and full_name not in used:
                    self._look_at_unused(node, full_name)

    def _look_at_unused(self, node: cst.ImportFrom, full_name: str) -> None:
        self.left.add(full_name)
        what = f"{short([full_name])} is imported but not used here"
        if self._makes_dags():
            self._notes.remark(f"{what}; the import can go")
        else:
            self.stay(node, f"{what}: check who imports it from here")

    def _makes_dags(self) -> bool:
        """Whether Airflow finds DAGs in the file; nobody imports from such a one."""
        decorators = (each.decorator for each in self._names.of(cst.Decorator))
        functions = (each.func for each in self._names.of(cst.Call))
        return any(last_name(each).lower().endswith("dag") for each in (*decorators, *functions))

    def _decide_annotations(self) -> None:
        for node, full_names in self._annotations:
            if self.left.isdisjoint(full_names):
                self._rename(node, full_names)
            else:
                finding = f"{short(full_names)} is still used in this file, so this annotation was left"
                self._notes.add(node, finding)

    def _is_annotation(self, node: cst.CSTNode) -> bool:
        """Whether a node is in an annotation, or is the type of a `cast`; but not in a call there."""
        argument = node
        while not isinstance(node, (cst.Annotation, cst.Call, cst.BaseStatement, cst.BaseSmallStatement, cst.Module)):
            argument, node = node, self._names.parent(node)
        is_type = isinstance(node, cst.Call) and last_name(node.func) == "cast" and argument in node.args[:1]
        return is_type or isinstance(node, cst.Annotation)


def _is_code(text: str) -> bool:
    return _IMPORT.search(text) is not None


def short(full_names: Sequence[str]) -> str:
    """Return the name of a class without its module."""
    return full_names[0].rpartition(".")[2]
