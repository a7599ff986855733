"""Write the site's pages to `build/docs`, from which MkDocs builds it: `uv run poe docs`.

Pages are those in `docs/` and some files elsewhere in the repository. `<!-- generated: … -->` stands for what is taken
from the code, so that nothing is written twice. Pages link to files of the repository by their paths, as on a code
host; here those links are led to the site's pages, and one that leads nowhere is an error.
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
import shutil
import sys
from html import escape
from inspect import cleandoc, getdoc
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import griffe
from public_names import MODULES, PACKAGE, names_of
from typer.main import get_command

from airflow_batch_jobs import errors
from airflow_batch_jobs.cli import app
from airflow_batch_jobs.config import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ROOT / os.environ.get("SITE_PAGES", "build/docs")
#: The pages that are files elsewhere.
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "measured.md",
}
#: Where the site has what files tell that are no pages.
TOLD = {"airflow_batch_jobs/local/__init__.py": "reference/local.md", "docs/develop": "develop.md"}
#: The headers of the columns of the page of messages that quote them.
_QUOTING = {"message", "line", "end of the reason", "status reason", "words of the line", "what you see"}
#: Files that pages link to, and that are there to be downloaded.
ATTACHED = ("docker-compose.yaml", "LICENSE")


def main() -> None:
    """Write all pages anew."""
    with TemporaryDirectory() as home:
        keep_airflow_in(home)
        write_pages()


def keep_airflow_in(home: str) -> None:
    """Let the Airflow that the package's modules import know this folder, and nothing of the developer's Airflow."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ["AIRFLOW_HOME"] = home


def write_pages() -> None:
    """Write them."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(DOCS, PAGES, ignore=shutil.ignore_patterns("*.py", "picture_dags", "__pycache__"))
    for path in ATTACHED:
        shutil.copy(ROOT / path, PAGES)
    sources = {page.relative_to(PAGES).as_posix(): f"docs/{page.relative_to(PAGES)}" for page in PAGES.rglob("*.md")}
    for path, page in ELSEWHERE.items():
        shutil.copy(ROOT / path, PAGES / page)
        sources[page] = path
    for page, source in sources.items():
        text = with_links_led((PAGES / page).read_text(encoding="utf-8"), page, source)
        text = re.sub(r"<!-- generated: (\w+) -->", lambda found: "\n".join(GENERATED[found[1]]()), text)
        if page == "troubleshooting.md":
            text = with_messages_found(text)
        (PAGES / page).write_text(text, encoding="utf-8")


def with_links_led(text: str, page: str, source: str) -> str:
    """Return a page's text with its links led to what the site has; `source` is what they are relative to.

    A picture that has a dark twin is shown in the colours of the page.
    """

    def led(found: re.Match[str]) -> str:
        path, mark, anchor = found[1].partition("#")
        target = target_of(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if not (PAGES / target.partition("#")[0]).is_file():
            sys.exit(f"{source} links to {found[1]}, which the site does not have")
        return f"]({posixpath.relpath(target, posixpath.dirname(page) or '.')}{mark}{anchor})"

    text = re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", led, text)
    return re.sub(r"!(\[.*?\]\(.*?)-light\.png\)", r"!\1-light.png#only-light)!\1-dark.png#only-dark)", text)


def target_of(path: str) -> str:
    """Return what the site has of a file of the repository."""
    if example := re.fullmatch(r"dags/(\w+)\.py", path):
        return f"examples.md#{example[1]}"
    return {**ELSEWHERE, **TOLD}.get(path, path.removeprefix("docs/"))


def with_messages_found(text: str) -> str:
    """Return the page of messages with each of them as a heading, which is what the search looks at most.

    It is one in the table's cell or in the block where it stands, so it leads there; the table of contents has none.
    Where another page says the same words, this one comes first.
    """
    number = count(1)

    def quoted(found: re.Match[str]) -> str:
        return heading(found[1])

    def heading(message: str) -> str:
        code = f"<code>{escape(message, quote=False)}</code>"
        return f'<h6 class="message" id="message-{next(number)}" role="presentation">{code}</h6>'

    def block(found: re.Match[str]) -> str:
        return "\n".join(['<div class="messages">', *map(heading, found[1].splitlines()), "</div>"])

    def table(found: re.Match[str]) -> str:
        header, *lines = found[0].splitlines()
        quoting = [cell.strip("| ") in _QUOTING for cell in header.split(" | ")]
        for place, line in enumerate(lines[1:], start=1):
            cells = zip(line.split(" | "), quoting, strict=True)
            lines[place] = " | ".join(re.sub(r"`([^`]+)`", quoted, cell) if of else cell for cell, of in cells)
        return "\n".join([header, *lines, ""])

    text = re.sub(r"^```text\n(.*?)^```$", block, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^\|.*\n\|---.*\n(?:\|.*\n)+", table, text, flags=re.MULTILINE)
    return f"---\nsearch:\n  boost: 1.05\n---\n{text}"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    cells = [[*header], *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def examples() -> Iterator[str]:
    """Yield the example DAGs, each with what its docstring says."""
    for path in sorted((ROOT / "dags").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        said = ast.get_docstring(ast.parse(text)) or ""
        code = text.partition('"""\n')[2].strip()
        yield f"## `{path.name}` {{: #{path.stem} }}\n\n{said}\n\n```python\n{code}\n```\n"


def options() -> Iterator[str]:
    """Yield the options of `[batch_jobs]`, as Airflow is told of them."""
    rows = (
        (f"`{name}`", f"`{option['default']}`" if option["default"] else "empty", option["type"], option["description"])
        for name, option in OPTIONS.items()
    )
    yield table(("option", "default", "type", "meaning"), rows)


def commands() -> Iterator[str]:
    """Yield every command with its arguments and options."""
    group: Any = get_command(app)
    yield f"{cleandoc(group.help)}\n\n{parameters_of(group)}\n"
    for name, command in group.commands.items():
        yield f"## {name}\n\n{cleandoc(command.help)}\n\n{parameters_of(command)}\n"


def parameters_of(command: Any) -> str:
    """Return the table of a command's parameters."""
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return table(("argument or option", "meaning"), ((spelled(each), told(each)) for each in shown))


def spelled(parameter: Any) -> str:
    """Return how a parameter is written, with its value."""
    value = parameter.metavar or parameter.name.upper()
    if not parameter.opts[0].startswith("-"):
        return f"`{value}`"
    value = "" if parameter.is_flag else f" {value}"
    return ", ".join(f"`{each}{value}`" for each in (*parameter.opts, *parameter.secondary_opts))


def told(parameter: Any) -> str:
    """Return what a parameter means, whether it is needed, and what it is otherwise."""
    said, default = parameter.help or "", parameter.default
    notes = [
        "Required." if parameter.required else "",
        "Can be repeated." if parameter.multiple and "repeat" not in said.lower() else "",
        f"Default: `{default}`." if default not in (None, False, "", []) and not callable(default) else "",
        f"Environment: `{parameter.envvar}`." if parameter.envvar else "",
    ]
    return " ".join(" ".join([said, *notes]).split())


def policies() -> Iterator[str]:
    """Yield the IAM policies."""
    for path in sorted((DOCS / "iam").glob("*.json")):
        text = path.read_text(encoding="utf-8").strip()
        yield f"## `{path.name}` {{: #{path.stem} }}\n\n[Download](../iam/{path.name})\n\n```json\n{text}\n```\n"


def tree_of_errors() -> Iterator[str]:
    """Yield the tree on top of the errors' module."""
    tree = (getdoc(errors) or "").partition("::\n\n")[2].rpartition("\n\n")[0]
    yield f"```text\n{cleandoc(tree)}\n```"


def names() -> Iterator[str]:
    """Yield the public names, each with a link: one without a place in the reference is a warning."""
    extensions = griffe.load_extensions(str(DOCS / "docstrings.py"))
    package = griffe.load(PACKAGE, extensions=extensions, search_paths=[str(ROOT)])

    def row(module: str, name: str) -> tuple[str, str]:
        path = f"{module}.{name}"
        if name == "__version__":
            return f"`{name}`", "The version of the installed package, a text."
        try:
            docstring = package[path.removeprefix(f"{PACKAGE}.")].docstring
        except griffe.AliasResolutionError as error:
            return f"[`{name}`][{path}]", f"That of {error.alias.target_path.partition('.')[0]}."
        said = docstring.value.partition("\n\n")[0] if docstring else ""
        return f"[`{name}`][{path}]", " ".join(said.split())

    for module, purpose in MODULES.items():
        yield f"## `{module}`\n\n{purpose}\n"
        yield f"{table(('name', 'what it is'), (row(module, name) for name in names_of(module)))}\n"


GENERATED: dict[str, Callable[[], Iterator[str]]] = {
    "names": names,
    "options": options,
    "commands": commands,
    "policies": policies,
    "errors": tree_of_errors,
    "examples": examples,
}

if __name__ == "__main__":
    main()
