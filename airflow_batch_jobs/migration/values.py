"""Values: what an expression in a DAG file may be, as far as the file shows it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from airflow_batch_jobs.migration.reading import TASK, dotted, last_name, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.migration.names import Binding, Names

#: Methods that return what they are called on, or something in it.
_RETURN_OWN = frozenset({"as_setup", "as_teardown", "copy", "get", "items", "pop", "popitem", "setdefault", "values"})
#: Functions that return what they are given, or something in it.
_RETURN_GIVEN = frozenset(
    {
        "ChainMap",
        "OrderedDict",
        "cast",
        "chain",
        "copy",
        "deepcopy",
        "deque",
        "dict",
        "enumerate",
        "filter",
        "frozenset",
        "iter",
        "list",
        "max",
        "min",
        "next",
        "reduce",
        "reversed",
        "set",
        "sorted",
        "tuple",
        "zip",
    }
)
_DICTIONARIES = frozenset({"OrderedDict", "dict"})
#: Functions that call another one, which they are given first.
_CALL_GIVEN = frozenset({"map", "starmap"})
#: Methods that put something into what they are called on.
_ADD = frozenset({"add", "append", "appendleft", "extend", "insert", "setdefault", "update"})

#: An expression, and the key of what is wanted of it, if only that is: of `tasks["a"]`, `tasks` and "a".
_Wanted = tuple[cst.BaseExpression, str | None]
#: What is in a container, by its key, if the file shows that.
_Contents = dict[str | None, list[cst.BaseExpression]]


class _Member(NamedTuple):
    """What instances of a class have by a name."""

    name: str


class Values:
    """Follows expressions through a module: names, attributes, containers, loops, and functions of the file.

    Does not tell a container from what is in it, nor one call of a function from another, nor before from after: what
    may be anywhere is taken for what may be here.

    Args:
        names: The names of the module.
    """

    def __init__(self, names: Names) -> None:
        self.names = self._names = names
        #: What names may be, by what they stand for and what is wanted of it: one may be read many times.
        self._known: dict[tuple[object, str | None], list[cst.BaseExpression]] = {}
        #: What is in dictionaries that are written out, and what is put into containers elsewhere.
        self._written: dict[cst.Dict, _Contents] = {}
        self._added: dict[object, _Contents] = {}
        #: What classes have by a name, and what is assigned to attributes by their whole names.
        self._members: dict[str, list[cst.BaseExpression]] = defaultdict(list)
        self._attributes: dict[str, list[cst.BaseExpression]] = defaultdict(list)
        self._methods: dict[str, list[cst.FunctionDef]] = defaultdict(list)
        self._results: dict[cst.CSTNode, list[cst.BaseExpression]] = defaultdict(list)
        self._calls: dict[cst.CSTNode, list[cst.Call]] = defaultdict(list)
        self._look_at_functions()
        self._look_at_assignments()
        self._look_at_calls()

    def of(self, node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
        """Yield an expression and all that it may stand for; of a container, also what may be in it."""
        waiting: list[_Wanted] = [(node, None)]
        seen = set(waiting)
        while waiting:
            each, key = waiting.pop()
            yield each
            if isinstance(each, cst.Name):
                known = (self.place(each), key)
                if known not in self._known:
                    self._known[known] = list(self._followed((each, key)))
                yield from self._known[known]
                continue
            new = [one for one in self._next(each, key) if one not in seen]
            seen.update(new)
            waiting += new

    def is_added_to(self, node: cst.BaseExpression) -> bool:
        """Whether something is put into a container that has a name, other than where it is written out."""
        return self.place(node) in self._added

    def functions(self, func: cst.BaseExpression) -> Iterator[cst.CSTNode]:
        """Yield the functions of the file that an expression may be."""
        if isinstance(func, cst.Lambda):
            yield func
        if isinstance(func, cst.Attribute):
            yield from self._methods.get(func.attr.value, ())
        for binding in self._names.bindings(func, func.value) if isinstance(func, cst.Name) else ():
            if isinstance(binding.node, cst.FunctionDef):
                yield binding.node
            elif isinstance(binding.value, cst.Lambda):
                yield binding.value

    def _followed(self, first: _Wanted) -> Iterator[cst.BaseExpression]:
        """Yield what an expression may stand for."""
        waiting, seen = [first], {first}
        while waiting:
            node, key = waiting.pop()
            yield node
            known = self._known.get((self.place(node), key)) if isinstance(node, cst.Name) else None
            if known is not None:
                yield from known
                continue
            new = [one for one in self._next(node, key) if one not in seen]
            seen.update(new)
            waiting += new

    def place(self, node: cst.BaseExpression) -> object:
        """Return what is the same for all expressions that stand for one variable, or for an attribute of one class."""
        match node:
            case cst.Name():
                return node.value, id(self._names.bindings(node, node.value))
            case cst.Attribute(value=cst.Name("self" | "cls"), attr=attribute):
                return _Member(attribute.value)
        return dotted(node)

    def _next(self, node: cst.BaseExpression, key: str | None) -> Iterator[_Wanted]:
        """Yield what an expression is made of, one step further."""
        match node:
            case cst.Name():
                yield from self._of_name(node, key)
            case cst.Attribute():
                every = (*self._attributes.get(dotted(node), ()), *self._members.get(node.attr.value, ()))
                yield from ((each, key) for each in every)
                yield from self._added_to(node, key)
            case cst.Call():
                yield from self._of_call(node, key)
            case cst.Subscript():
                yield node.value, _key(node)
            case cst.Dict():
                yield from ((each, None) for each in _under(self._in_dictionary(node), key))
                starred = (each for each in node.elements if isinstance(each, cst.StarredDictElement))
                yield from ((each.value, key) for each in starred)
            case _:
                yield from ((each, None) for each in _contents(node))
                yield from ((each, key) for each in _choices(node))

    def _of_name(self, node: cst.Name, key: str | None) -> Iterator[_Wanted]:
        for binding in self._names.bindings(node, node.value):
            yield from ((each, key) for each in self._bound(binding))
        yield from self._added_to(node, key)

    def _bound(self, binding: Binding) -> Iterator[cst.BaseExpression]:
        """Yield what a name is given at a place."""
        node = binding.node
        if binding.value is not None:
            yield binding.value
        elif isinstance(node, (cst.For, cst.CompFor)):
            yield node.iter
        elif isinstance(node, cst.AssignTarget):  # one of several, which the right side does not show
            yield cst.ensure_type(self._names.parent(node), cst.Assign).value
        elif isinstance(node, cst.AugAssign):
            yield node.value
        elif isinstance(node, cst.AsName) and isinstance(item := self._names.parent(node), cst.WithItem):
            yield item.item
        elif isinstance(node, cst.Param):
            yield from self._passed(node)

    def _passed(self, parameter: cst.Param) -> Iterator[cst.BaseExpression]:
        """Yield what a parameter is given anywhere in the file."""
        if parameter.default is not None:
            yield parameter.default
        parameters = self._names.parent(parameter)
        function = self._names.parent(parameters)
        if isinstance(function, cst.Lambda):
            argument = self._names.parent(function)  # of map(), filter(), sorted()
            call = self._names.parent(argument) if isinstance(argument, cst.Arg) else None
            yield from (
                each.value for each in (call.args if isinstance(call, cst.Call) else ()) if each is not argument
            )
            return
        places = list(cst.ensure_type(parameters, cst.Parameters).params)
        if places and places[0].name.value in {"self", "cls"}:
            places.pop(0)
        place = places.index(parameter) if parameter in places else None
        for call in self._calls.get(function, ()):
            for number, argument in enumerate(call.args):
                by_name = argument.keyword is not None and argument.keyword.value == parameter.name.value
                if by_name or (argument.keyword is None and number == place):
                    yield argument.value

    def _of_call(self, node: cst.Call, key: str | None) -> Iterator[_Wanted]:
        """Yield what a call may return."""
        func, name = node.func, last_name(node.func)
        for function in self.functions(func):
            yield from ((each, key) for each in self._results.get(function, ()))
        if name in _CALL_GIVEN and node.args:
            for function in self.functions(node.args[0].value):
                yield from ((each, None) for each in self._results.get(function, ()))
        elif isinstance(func, cst.Attribute) and name in _RETURN_OWN:
            yield func.value, text_of(node.args[0].value) if node.args else None
            yield from ((argument.value, key) for argument in node.args[1:])
        elif name in _RETURN_GIVEN:
            for argument in node.args:
                own = argument.keyword.value if argument.keyword and name in _DICTIONARIES else None
                if key is None or own is None or own == key:
                    yield argument.value, key if own is None else None

    def _added_to(self, node: cst.Name | cst.Attribute, key: str | None) -> Iterator[_Wanted]:
        places = {self.place(node), *([_Member(node.attr.value)] if isinstance(node, cst.Attribute) else [])}
        for added in [self._added[place] for place in places if place in self._added]:
            yield from ((each, None) for each in _under(added, key))

    def _add(self, to: cst.BaseExpression, key: str | None, value: cst.BaseExpression) -> None:
        """Note that something is put into a container, or into one in it."""
        while isinstance(to, cst.Subscript):
            key, to = _key(to), to.value
        if place := self.place(to):
            self._added.setdefault(place, {}).setdefault(key, []).append(value)

    def _in_dictionary(self, node: cst.Dict) -> _Contents:
        if node not in self._written:
            contents = self._written[node] = {}
            for element in node.elements:
                if isinstance(element, cst.DictElement):
                    contents.setdefault(text_of(element.key), []).append(element.value)
        return self._written[node]

    def _look_at_functions(self) -> None:
        for function in self._names.of(cst.FunctionDef):
            if isinstance(self._names.scope(function), cst.ClassDef):
                self._methods[function.name.value].append(function)
        results: list[cst.Return | cst.Yield] = [*self._names.of(cst.Return), *self._names.of(cst.Yield)]
        for node in results:
            scope = self._names.scope(node)
            if isinstance(node.value, cst.BaseExpression) and not _makes_task(scope):
                self._results[scope].append(node.value)
        for anonymous in self._names.of(cst.Lambda):
            self._results[anonymous].append(anonymous.body)

    def _look_at_assignments(self) -> None:
        for target in self._names.of(cst.AssignTarget):
            value = cst.ensure_type(self._names.parent(target), cst.Assign).value
            self._look_at_target(target.target, value)
        for annotated in self._names.of(cst.AnnAssign):
            if annotated.value is not None:
                self._look_at_target(annotated.target, annotated.value)
        for change in self._names.of(cst.AugAssign):
            self._add(change.target, None, change.value)

    def _look_at_target(self, target: cst.BaseExpression, value: cst.BaseExpression) -> None:
        match target:
            case cst.Subscript():
                self._add(target, None, value)
            case cst.Attribute(value=cst.Name("self" | "cls"), attr=attribute):
                self._members[attribute.value].append(value)
            case cst.Attribute() if name := dotted(target):
                self._attributes[name].append(value)
            case cst.Name() if isinstance(self._names.scope(target), cst.ClassDef):
                self._members[target.value].append(value)

    def _look_at_calls(self) -> None:
        for call in self._names.of(cst.Call):
            for function in self.functions(call.func):
                self._calls[function].append(call)
            if isinstance(call.func, cst.Attribute) and call.func.attr.value in _ADD:
                to = call.func.value
                key = text_of(call.args[0].value) if call.func.attr.value == "setdefault" and call.args else None
                for argument in call.args:
                    self._add(to, key, argument.value)


def _key(node: cst.Subscript) -> str | None:
    """Return the key of `tasks["a"]`; None if it is no text."""
    match node.slice:
        case [cst.SubscriptElement(slice=cst.Index(value=index))]:
            return text_of(index)
    return None


def _under(contents: _Contents, key: str | None) -> Iterator[cst.BaseExpression]:
    """Yield what may be under a key; everything if it is None."""
    for own in contents if key is None else (key, None):
        yield from contents.get(own, ())


def _contents(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """Yield what is in a container that is written out and has no keys, or no written ones."""
    match node:
        case cst.List() | cst.Tuple() | cst.Set():
            yield from (element.value for element in node.elements)
        case cst.GeneratorExp() | cst.ListComp() | cst.SetComp():
            yield node.elt
        case cst.DictComp():
            yield node.value


def _choices(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """Yield each expression that another one may be, or is put together from."""
    match node:
        case cst.IfExp():
            yield from (node.body, node.orelse)
        case cst.BinaryOperation(operator=cst.RightShift() | cst.LeftShift()):  # tasks in a chain: it is the last one
            yield node.right
        case cst.BooleanOperation() | cst.BinaryOperation():
            yield from (node.left, node.right)
        case cst.NamedExpr():
            yield node.value
        case cst.Await():
            yield node.expression


def _makes_task(function: cst.CSTNode) -> bool:
    """Whether what a function returns is the result of a task, or nobody's: it is decorated as a task or a DAG."""
    for each in function.decorators if isinstance(function, cst.FunctionDef) else ():
        decorator = each.decorator.func if isinstance(each.decorator, cst.Call) else each.decorator
        if TASK.fullmatch(dotted(decorator)) or last_name(decorator) == "dag":
            return True
    return False
