"""The wheel and the sdist: what is in them, and what Airflow shows of the wheel in an environment with nothing else.

The wheel is installed for every supported Python that this machine has, the one that runs the tests among them; those
between the oldest and the newest are left to `poe pythons`. A supported Python that the machine lacks is not tested: it
has no case here. All else comes in the versions that the tests themselves run with, since what the newest release of
anything brings is not the subject.

Once more it is installed with the oldest of all that it names, Airflow among it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.specifiers import SpecifierSet

from airflow_batch_jobs.cli import app
from airflow_batch_jobs.config import OPTIONS
from airflow_batch_jobs.provider import get_provider_info
from tests.deploy.build import contents, sdist_names
from tests.deploy.environments import NAME, SUPPORTED, THIS, here, install, oldest, pythons, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from tests.deploy.build import Built

#: The Python that runs the tests, with the oldest of all that the wheel names.
OLDEST = f"{THIS} with the oldest of all"
OLDEST_AIRFLOW = "3.3.0"
MOST_WHEEL_BYTES = 650_000
MOST_SDIST_BYTES = 2_000_000
#: Import the package and see which of the heavy ones came with it, and whether type checkers may read it; give commands
#: to Airflow; import every module and parse the example DAGs. Say all of it as JSON.
ASK = """
import contextlib, importlib, io, json, pkgutil, sys
from importlib.metadata import version
from importlib.resources import files
import airflow_batch_jobs
heavy = {"airflow", "boto3", "botocore", "pydantic"} & {name.partition(".")[0] for name in sys.modules}
from airflow.__main__ import main
said = {}
for name, words in json.load(sys.stdin).items():
    sys.argv = ["airflow", *words]
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        main()
    said[name] = stdout.getvalue()
from airflow.dag_processing.dagbag import DagBag
from airflow_batch_jobs.demo.examples import example_dags
modules = [each.name for each in pkgutil.walk_packages(airflow_batch_jobs.__path__, "airflow_batch_jobs.")]
for name in modules:
    if not name.endswith("__main__"):
        importlib.import_module(name)
bag = DagBag(example_dags(), bundle_name="examples")
print(json.dumps({
    "airflow": version("apache-airflow"),
    "heavy": sorted(heavy),
    "is_typed": files("airflow_batch_jobs").joinpath("py.typed").is_file(),
    "said": said,
    "modules": modules,
    "dags": sorted(bag.dags),
    "errors": bag.import_errors,
    "folders": [airflow_batch_jobs.__path__[0], str(example_dags())],
}))
"""
#: What Airflow is given to do.
COMMANDS = {
    "providers": ["providers", "list", "--output", "json"],
    "plugins": ["plugins", "--output", "json"],
    "options": ["config", "list", "--section", "batch_jobs", "--include-descriptions", "--show-values"],
}


_MIDDLE = list(pythons())[1:-1]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that holds the wheel and what it needs, and a home of its own.

    Attributes:
        folder: Where everything is.
        airflow: The Airflow that belongs in it.
    """

    folder: Path
    airflow: str

    def run(self, program: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run one of its programs, without anything of this process."""
        bin_folder = self.folder / "venv/bin"
        return subprocess.run(
            [bin_folder / program, *arguments],
            cwd=self.folder,
            env={
                "PATH": f"{bin_folder}:{os.defpath}",
                "HOME": str(self.folder),
                "AIRFLOW_HOME": str(self.folder / "airflow"),
                "COLUMNS": "120",
            },
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def answer(self, program: str, *arguments: str, given: str = "") -> str:
        """Return what a program writes to stdout; it must succeed."""
        result = self.run(program, *arguments, given=given)
        assert result.returncode == 0, result.stderr
        return result.stdout


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(each, marks=pytest.mark.pythons if each in _MIDDLE else pytest.mark.e2e)
        for each in [*pythons(), OLDEST]
    ],
)
def environment(
    request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """An environment with the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    is_oldest = request.param == OLDEST
    python = pythons()[THIS if is_oldest else request.param]
    # All else comes in the versions that the tests run with, see above.
    versions = resolve(folder, python, [str(built.wheel)], constraints=oldest() if is_oldest else (), kept=here())
    install(folder, python, versions)
    yield Environment(folder, airflow=OLDEST_AIRFLOW if is_oldest else version("apache-airflow"))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def answers(environment: Environment) -> dict[str, Any]:
    """What the package and Airflow say in an environment, all in one process: Airflow takes seconds to start."""
    said = environment.answer("python", "-c", ASK, given=json.dumps(COMMANDS)).splitlines()[-1]
    found: dict[str, Any] = json.loads(said)
    return found


def _one_line(metadata: Message) -> str:
    """Return the README of a wheel's metadata without its line breaks."""
    return " ".join(str(metadata.get_payload()).split())


@pytest.mark.long
def test_the_wheel_holds_the_package_and_the_example_dags_and_nothing_else(built: Built) -> None:
    """No tests, benchmarks, documents or caches; py.typed is part of the package."""
    package = {name for name in built.files if name.startswith("airflow_batch_jobs/")}
    dags = {f"airflow_batch_jobs/example_{name}" for name in built.files if name.startswith("dags/")}
    info = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    names = {re.sub(r"^airflow_batch_jobs-[^/]+\.dist-info/", "", name) for name in contents(built.wheel)}
    assert names == package | dags | info
    assert {"airflow_batch_jobs/py.typed", "airflow_batch_jobs/example_dags/long_job.py"} <= names


def test_wheel_and_sdist_are_small(built: Built) -> None:
    """Every worker image carries the wheel."""
    assert built.wheel.stat().st_size < MOST_WHEEL_BYTES
    assert built.sdist.stat().st_size < MOST_SDIST_BYTES


def test_the_sdist_holds_what_the_repository_holds(built: Built) -> None:
    """Sources, example DAGs, tests and documents, and no leftovers."""
    names = sdist_names(built.sdist)
    needed = ("airflow_batch_jobs/", "dags/", "tests/", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml")
    assert {name for name in built.files if name.startswith(needed)} <= names
    assert names - built.files == {"PKG-INFO"}


def test_the_sdist_leaves_out_pictures_and_how_changes_land(built: Built) -> None:
    """They are of no use to those who build from it, and a picture is as large as all the code."""
    assert not [
        name for name in sdist_names(built.sdist) if name.startswith((".ci/", ".github/")) or name.endswith(".png")
    ]


def test_the_sdist_builds_the_same_wheel(built: Built) -> None:
    """Byte by byte, in another folder: whoever builds a release again can compare it with what was published."""
    assert contents(built.wheel_of_sdist) == contents(built.wheel)
    assert built.wheel_of_sdist.read_bytes() == built.wheel.read_bytes()


def test_the_supported_pythons_are_stated_alike(built: Built) -> None:
    """What was run stands in the classifiers and in the README; pip takes whatever Python comes after that as well."""
    metadata = built.metadata()
    demanded = SpecifierSet(metadata["Requires-Python"])
    accepted = [each for each in (f"3.{minor}" for minor in range(30)) if demanded.contains(f"{each}.1")]
    assert (accepted[: len(SUPPORTED)], accepted[-1]) == ([*SUPPORTED], "3.29")
    prefix = "Programming Language :: Python :: "
    stated = [each.removeprefix(prefix) for each in metadata.get_all("Classifier", []) if each.startswith(prefix)]
    assert stated == [*SUPPORTED]
    assert f"Python {SUPPORTED[0]} or newer; it was run on {SUPPORTED[0]} to {SUPPORTED[-1]}" in _one_line(metadata)


def test_it_needs_airflow_3_3_and_takes_no_airflow_4(built: Built) -> None:
    """The README says the former."""
    accepted = built.requirements()["apache-airflow"].specifier
    assert {each: accepted.contains(each) for each in ("3.2.99", "3.3.0", "3.99.0", "4.0.0")} == {
        "3.2.99": False,
        "3.3.0": True,
        "3.99.0": True,
        "4.0.0": False,
    }
    assert "Airflow 3.3 or newer" in _one_line(built.metadata())


def test_every_module_and_example_dag_loads(environment: Environment, answers: dict[str, Any], built: Built) -> None:
    """What is needed is declared: nothing comes from this checkout or its development dependencies."""
    assert answers["airflow"] == environment.airflow
    assert all(Path(folder).is_relative_to(environment.folder / "venv") for folder in answers["folders"])
    ours = {name for name in built.files if name.startswith("airflow_batch_jobs/") and name.endswith(".py")}
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in ours}
    assert {"airflow_batch_jobs", *answers["modules"]} == modules
    examples = {name for name in built.files if re.fullmatch(r"dags/\w+\.py", name)}
    assert (answers["dags"], answers["errors"]) == (sorted(Path(name).stem for name in examples), {})


def test_importing_the_package_loads_nothing_heavy(answers: dict[str, Any]) -> None:
    """Neither Airflow nor boto3; and type checkers find py.typed beside it."""
    assert (answers["heavy"], answers["is_typed"]) == ([], True)


def test_airflow_lists_the_provider(answers: dict[str, Any], built: Built) -> None:
    """`airflow providers list` shows it once, with its version and the first sentence of its description."""
    shown = json.loads(answers["said"]["providers"])
    (ours,) = (each for each in shown if each["package_name"] == NAME)
    assert ours["version"] == built.metadata()["Version"]
    assert ours["description"] == get_provider_info()["description"].removesuffix(".")


def test_airflow_lists_the_plugin(answers: dict[str, Any]) -> None:
    """`airflow plugins` shows it once, though it is declared twice, with its links."""
    shown = json.loads(answers["said"]["plugins"])
    (ours,) = (each for each in shown if NAME in each["source"] or "airflow_batch_jobs" in each["source"])
    assert ours["name"] == "batch_jobs"
    links = re.findall(r"<([\w.]+) object>", " ".join(ours["operator_extra_links"]))
    assert links == get_provider_info()["extra-links"]


def test_airflow_lists_the_options(answers: dict[str, Any]) -> None:
    """`airflow config list` shows each option of the section with its default and description, and no other."""
    shown = answers["said"]["options"]
    config = ConfigParser(interpolation=None)
    config.read_string(shown)
    assert {name: dict(config[name]) for name in config.sections()} == {
        "batch_jobs": {name: option["default"] for name, option in OPTIONS.items()}
    }
    described = re.findall(r"^# (.+)\n(\w+) =", shown, re.MULTILINE)
    assert {name: text for text, name in described} == {name: each["description"] for name, each in OPTIONS.items()}


def test_the_command_works(environment: Environment, built: Built) -> None:
    """`airflow-batch-jobs` says its version and lists its commands."""
    assert environment.answer(NAME, "--version").strip() == built.metadata()["Version"]
    commands = {each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands}
    shown = environment.answer(NAME, "--help")
    assert {name for name in commands if re.search(rf"^│ {name} ", shown, re.MULTILINE)} == commands


def test_without_the_extra_a_command_says_what_to_install(environment: Environment) -> None:
    """Only `orphans` needs Airflow's client, an extra; what `migrate` needs comes with Airflow."""
    command = "orphans --queue q --deployment d --airflow-url http://127.0.0.1:9 --airflow-token t --region eu-west-1"
    result = environment.run(NAME, *command.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: Airflow's official client is missing: pip install apache-airflow-client\n"
