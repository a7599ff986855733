"""Dependants: what else in a DAG file depends on the classes that it uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from airflow_batch_jobs.migration.counterparts import (
    CLASSES,
    COUNTERPARTS,
    LINK_KEYS,
    LINKS,
    MODULES,
    OURS,
    OWN_LINK_KEYS,
    Counterpart,
)
from airflow_batch_jobs.migration.default_args import DefaultArgs
from airflow_batch_jobs.migration.provider_uses import BY_NAME
from airflow_batch_jobs.migration.reading import code, dotted, last_name, module_of, text_of, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from airflow_batch_jobs.migration.names import Names
    from airflow_batch_jobs.migration.notes import Notes
    from airflow_batch_jobs.migration.provider_uses import ProviderUses

_XCOM_OF_ANOTHER_FILE = (
    "it reads an XCom of BatchOperator's; where its task is rewritten, the XCom batch_job has what it had"
)
_XCOM_IS_GONE = "this XCom is gone; the XCom batch_job has the job, its definition, queue and log"


class Dependants:
    """Says what depends on classes that are rewritten: default arguments, attributes of tasks, XComs.

    Args:
        names: The names of the module.
        uses: The uses of the classes.
        notes: Where to say what a person has to do.
    """

    def __init__(self, names: Names, uses: ProviderUses, notes: Notes) -> None:
        self._names = names
        self._uses = uses
        self._notes = notes
        #: The annotations of what classes have by a name.
        self._members: dict[str, list[cst.CSTNode]] = {}
        for annotated in names.of(cst.AnnAssign):
            if isinstance(names.scope(annotated), cst.ClassDef) or isinstance(annotated.target, cst.Attribute):
                self._members.setdefault(last_name(annotated.target), []).append(annotated.annotation)

    def look(self) -> None:
        """Look for all of them."""
        self._look_for_other_classes()
        self._look_for_unknown_names()
        if self._uses.renamed:
            self._look_at_default_args()
            self._look_at_attributes()
            for node in self._xcoms(LINK_KEYS):
                self._notes.add(node, _XCOM_IS_GONE)
        elif not self._uses.left and all(each.imported not in OURS for _, each in self._names.all_bindings()):
            for _ in self._xcoms(OWN_LINK_KEYS):
                self._notes.remark(_XCOM_OF_ANOTHER_FILE)

    def _look_for_other_classes(self) -> None:
        """Look for classes that have the name of one of the provider's, and come from where nothing is known of."""
        for call in self._names.of(cst.Call):
            name = dotted(call.func).removesuffix(".partial")
            if "." not in name and {"job_definition", "job_queue"} & values_of(call).keys():
                self._look_at_other_class(call, name)
        for defined in self._names.of(cst.ClassDef):
            for base in defined.bases:
                if isinstance(base.value, cst.Name):
                    self._look_at_other_class(defined, base.value.value)
        for attribute in self._names.of(cst.Attribute):
            if attribute.attr.value in CLASSES:
                self._look_at_other_class(attribute, dotted(attribute))

    def _look_for_unknown_names(self) -> None:
        """Look for names of these classes that can only be from an `import *` of a module that nothing is known of."""
        modules = [module_of(node) for node in self._names.of(cst.ImportFrom) if isinstance(node.names, cst.ImportStar)]
        if not modules or not MODULES.isdisjoint(modules):
            return
        for name in self._names.of(cst.Name):
            is_known = self._names.bindings(name, name.value) or not self._names.is_read(name)
            if name.value in CLASSES and not is_known:
                where = " or ".join(dict.fromkeys(modules))
                self._uses.stay(name, f"{name.value} may be from {where}: import it by name; then migrate again")

    def _look_at_other_class(self, place: cst.CSTNode, name: str) -> None:
        if name.rpartition(".")[2] not in CLASSES:
            return
        full_names, _ = self._uses.full_names(place, name)
        for each in full_names:
            if each not in COUNTERPARTS:
                finding = f"{name} is {each}, which was not looked into: if that is the provider's, import ours"
                self._uses.stay(place, finding)

    def _look_at_default_args(self) -> None:
        defaults = DefaultArgs(self._names)
        given = {each.name for each in defaults.given}
        for default in defaults.given:
            for counterpart in self._used():
                if finding := _of_default(counterpart, default.name):
                    self._notes.add(default.node, f"default_args: {finding}")
        for unseen in defaults.unseen:
            self._notes.remark(f"default_args are also from {unseen}, which was not looked into")
        for node, counterpart, name in self._uses.missing if defaults.unseen else ():
            if name not in given:
                ours = counterpart.renamed.get(name, name)
                self._notes.add(node, f"there is no {ours}= here: make sure that default_args has it, by that name")

    def _look_at_attributes(self) -> None:
        """Look for attributes of tasks that only the provider's class has."""
        annotated = self._annotated()
        known: dict[object, tuple[dict[str, Counterpart], bool]] = {}  # a name may be read many times
        for node, task, name in self._attributes():
            place = self._uses.values.place(task) if isinstance(task, cst.Name) else task
            if place not in known:
                every = list(self._uses.values.of(task))
                classes = {each.name: each for each in self._classes_of(every, annotated)}
                known[place] = classes, any(map(_is_of_context, every))
            classes, is_any = known[place]
            for each in classes.values():
                if name in each.absent:
                    id_is = f"the job's id is {code(task, instead='task')}.output"
                    self._notes.add(node, _absent(each.name, name, id_is if name in _IDS else each.became(name)))
            if is_any:
                self._look_at_some_task(node, name)
        for text in self._names.of(cst.SimpleString):
            for name in _OF_TEMPLATE.findall(text.value) if "{{" in text.value else ():
                self._look_at_some_task(text, name)

    def _look_at_some_task(self, node: cst.CSTNode, name: str) -> None:
        """Look at an attribute of the task that a callback or a template is for, which may be any."""
        for each in self._used():
            if name in each.absent:
                id_is = "the job's id is in the XCom batch_job" if name in _IDS else each.became(name)
                self._notes.add(node, _absent(f"a task of {each.name}", name, id_is))

    def _attributes(self) -> Iterator[tuple[cst.CSTNode, cst.BaseExpression, str]]:
        """Yield where something has one of these attributes, what has it, and which one; also by `getattr`."""
        for attribute in self._names.of(cst.Attribute):
            if attribute.attr.value in _ATTRIBUTES:
                yield attribute, attribute.value, attribute.attr.value
        for call in self._names.of(cst.Call):
            match call.args if last_name(call.func) in BY_NAME else ():
                case [cst.Arg(keyword=None, value=task), cst.Arg(keyword=None, value=named), *_]:
                    if (name := text_of(named) or "") in _ATTRIBUTES:
                        yield call, task, name

    def _annotated(self) -> dict[cst.CSTNode, Counterpart]:
        """Return the class that each annotation names, also inside of another type such as `list[…]`."""
        annotated: dict[cst.CSTNode, Counterpart] = {}
        for reference, full_names in self._uses.renamed.items():
            node: cst.CSTNode = reference
            while isinstance(node, (cst.BaseExpression, cst.BaseSlice, cst.SubscriptElement)):
                node = self._names.parent(node)
            annotated[node] = COUNTERPARTS[full_names[0]]
        return annotated

    def _classes_of(
        self, tasks: Iterable[cst.BaseExpression], annotated: Mapping[cst.CSTNode, Counterpart]
    ) -> Iterator[Counterpart]:
        """Yield the classes of tasks: of the calls that make them, and of annotations of names and functions."""
        for made in tasks:
            annotations: list[cst.CSTNode] = []
            if made in self._uses.tasks:
                yield self._uses.tasks[made]
            elif isinstance(made, cst.Name):
                bindings = self._names.bindings(made, made.value)
                annotations += [getattr(each.node, "annotation", made) for each in bindings]
            elif isinstance(made, cst.Attribute):
                annotations += self._members.get(made.attr.value, ())
            elif isinstance(made, cst.Call):
                annotations += [getattr(each, "returns", made) for each in self._uses.values.functions(made.func)]
                annotations += made.args[:1] if last_name(made.func) == "cast" else ()
            yield from (annotated[each] for each in annotations if each in annotated)

    def _used(self) -> Iterable[Counterpart]:
        """Return the counterparts of the classes that the module uses."""
        every = (COUNTERPARTS[names[0]] for names in self._uses.renamed.values())
        return {each.name: each for each in every}.values()

    def _xcoms(self, keys: AbstractSet[str]) -> Iterator[cst.CSTNode]:
        """Yield where XComs are read that hold the provider's links, by these keys."""
        places: tuple[cst.Arg | cst.Index, ...] = (*self._names.of(cst.Arg), *self._names.of(cst.Index))
        for place in places:
            if (self._is_key(place) or self._is_index_of_output(place)) and any(
                _is_link_key(value, keys) for value in self._uses.values.of(place.value)
            ):
                yield place.value
        for text in self._names.of(cst.SimpleString):
            if _pulls_link(text_of(text) or "", keys):
                yield text
        for part in self._names.of(cst.FormattedStringText):
            if _pulls_link(part.value, keys):
                yield part

    def _is_key(self, node: cst.CSTNode) -> bool:
        if not isinstance(node, cst.Arg):
            return False
        call = self._names.parent(node)
        is_pull = isinstance(call, cst.Call) and last_name(call.func) in {"xcom_pull", "XComArg"}
        return is_pull if node.keyword is None else node.keyword.value == "key"

    def _is_index_of_output(self, node: cst.CSTNode) -> bool:
        subscript = self._names.parent(self._names.parent(node))
        return (
            isinstance(node, cst.Index)
            and isinstance(subscript, cst.Subscript)
            and any(
                isinstance(each, cst.Attribute) and each.attr.value == "output"
                for each in self._uses.values.of(subscript.value)
            )
        )


#: What a task instance is called.
_TASK_INSTANCES = frozenset({"task_instance", "ti"})
#: The attributes in which the provider keeps the id of the job.
_IDS = frozenset({"job_id", "jobId"})
#: An attribute of the task in a template.
_OF_TEMPLATE = re.compile(r"\btask\.(\w+)")
_ATTRIBUTES = frozenset().union(*(one.absent for one in COUNTERPARTS.values()))


def _is_of_context(node: cst.BaseExpression) -> bool:
    """Whether an expression is a task that may be any, such as a callback's `context["task"]` or `dag.get_task(…)`."""
    match node:
        case cst.Call(func=cst.Attribute(attr=cst.Name("get_task"))):
            return True
        case cst.Attribute(value=dag, attr=cst.Name("tasks" | "task_dict")):
            return last_name(dag).lower().endswith("dag")
        case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return text_of(key) == "task"
        case cst.Attribute(value=cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))])):
            return node.attr.value == "task" and text_of(key) in _TASK_INSTANCES
        case cst.Attribute(value=cst.Name(value=name)):
            return node.attr.value == "task" and name in _TASK_INSTANCES
    return False


def _absent(what: str, name: str, became: str) -> str:
    """Say that something has no such attribute, and what became of it."""
    return f"{what} has no attribute {name}" + (f"; {became}" if became else "")


def _of_default(counterpart: Counterpart, name: str) -> str:
    """Say what became of a default argument; empty if it stays what it is."""
    if name in counterpart.renamed:
        return f"{name} is called {counterpart.renamed[name]} in {counterpart.name}"
    if name in counterpart.options:
        return f"{name} is {counterpart.options[name]} in the submit_options of {counterpart.name}"
    return f"{counterpart.name} takes no {name}" if name in counterpart.dropped else ""


def _is_link_key(node: cst.BaseExpression, keys: AbstractSet[str]) -> bool:
    """Whether an expression is the key of one of the provider's links: the text, or `BatchJobDetailsLink.key`."""
    match node:
        case cst.Attribute(value=link, attr=cst.Name("key")):
            return last_name(link) in LINKS
    return text_of(node) in keys


def _pulls_link(text: str, keys: AbstractSet[str]) -> bool:
    """Whether a text is a template that pulls an XCom of the provider's links, by one of these keys."""
    return "xcom_pull" in text and not keys.isdisjoint(re.findall(r"\w+", text))
