"""What the package's source says: which operations of AWS it names, and which messages it writes."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_batch_jobs"
#: The placeholder for a value in a message, here and in the documents.
GAP = "…"
#: The local AWS and the demo are not part of what runs in production.
_ELSEWHERE = frozenset({"local", "demo"})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A function of the package, `batch/submission:Submission.run`, or a module outside of its functions."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}" if self.name else self.module


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax trees of the package, by path without the suffix: `batch/submission`."""
    paths = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]
    return {
        path.with_suffix("").as_posix(): ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
        for path in sorted(paths)
        if path.parts[0] not in _ELSEWHERE
    }


@cache
def nodes() -> tuple[tuple[Place, ast.AST], ...]:
    """Return every node of the package with the function that it is in, without docstrings."""
    return tuple(chain.from_iterable(nodes_of(tree, module) for module, tree in modules().items()))


def nodes_of(tree: ast.AST, module: str, name: str = "") -> Iterator[tuple[Place, ast.AST]]:
    """Yield every node below one, likewise."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        inner = name
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{name}.{child.name}" if name else child.name
        yield Place(module, inner), child
        yield from nodes_of(child, module, inner)


def template(node: ast.AST) -> str | None:
    """Return a text as it is in the source, with `…` for values; None for what is not a text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else GAP for part in node.values]
        return re.sub(f"{GAP}+", GAP, "".join(str(part) for part in parts))
    return None
