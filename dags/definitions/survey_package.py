"""Survey the source of one package of Python's standard library: parse every module and count what is in it."""

from __future__ import annotations

import argparse
import ast
import json
import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Print one line per module, then write the counts of all to OUTPUT/PACKAGE.json, or print them if it is `-`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docstrings", action="store_true", help="also count what has a docstring")
    parser.add_argument("package")
    parser.add_argument("output")
    wanted = parser.parse_args()

    modules = find_modules(wanted.package)
    print(f"Surveying {wanted.package}: {len(modules)} modules")
    counts = {}
    for number, (name, path) in enumerate(modules.items(), start=1):
        counts[name] = survey(path.read_text(encoding="utf-8"), docstrings=wanted.docstrings)
        told = ", ".join(f"{count} {what}" for what, count in counts[name].items())
        print(f"[{number}/{len(modules)}] {name}: {told}")

    result = json.dumps({"package": wanted.package, "modules": counts}, indent=1)
    if wanted.output == "-":
        print(result)
        return
    target = Path(wanted.output, f"{wanted.package}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(result, encoding="utf-8")
    print(f"Wrote {target}")


def find_modules(package: str) -> dict[str, Path]:
    """Return the file of each module of a package, by the module's name."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        sys.exit(f"This Python has no package {package!r} with a source.")
    root = Path(spec.origin).parent
    files = sorted(root.rglob("*.py")) if spec.submodule_search_locations else [Path(spec.origin)]
    names = (".".join((package, *file.relative_to(root).with_suffix("").parts)) for file in files)
    return {name.removesuffix(".__init__"): file for name, file in zip(names, files, strict=True)}


def survey(source: str, *, docstrings: bool) -> dict[str, int]:
    """Count the lines, functions and classes of a module, and on request those with a docstring."""
    nodes = list(ast.walk(ast.parse(source)))
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    counts = {"lines": len(source.splitlines()), "functions": len(functions), "classes": len(classes)}
    if docstrings:
        counts["documented"] = sum(ast.get_docstring(node) is not None for node in (*functions, *classes))
    return counts


if __name__ == "__main__":
    main()
