"""migrate: it, and the guide, know every parameter of the provider's classes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_batch_jobs.migration.counterparts import OPERATOR, SENSOR, Counterpart
from tests.cli.migrating import airflow
from tests.docs.source import GAP, nodes, template

GUIDE = Path(__file__).parents[2] / "docs" / "from-batch-operator.md"
INSTALLED = {
    "airflow.providers.amazon.aws.operators.batch.BatchOperator": OPERATOR,
    "airflow.providers.amazon.aws.sensors.batch.BatchSensor": SENSOR,
}


@pytest.fixture(scope="module")
def provider_parameters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The parameters of the installed provider's classes, without those of Airflow itself, by the class's full name."""
    code = """
        import inspect, json, sys
        from importlib import import_module
        found = {}
        for full_name in sys.argv[1:]:
            module, _, name = full_name.rpartition(".")
            kind = getattr(import_module(module), name)
            theirs = [one for one in kind.__mro__ if "__init__" in vars(one) and ".providers.amazon." in one.__module__]
            names = {each.name for one in theirs for each in inspect.signature(one.__init__).parameters.values()
                     if each.kind is not each.VAR_KEYWORD}
            found[full_name] = sorted(names - {"self"})
        print(json.dumps(found))
    """
    found: dict[str, list[str]] = airflow(code, tmp_path_factory.mktemp("provider"), *INSTALLED)
    return found


@pytest.mark.long
@pytest.mark.parametrize("full_name", INSTALLED)
def test_every_parameter_of_the_provider_is_dealt_with(
    provider_parameters: dict[str, list[str]], full_name: str
) -> None:
    """A parameter that a new version of the provider brings, or takes away, shows here."""
    counterpart = INSTALLED[full_name]

    assert counterpart.parameters - counterpart.former == set(provider_parameters[full_name])


def _rows(counterpart: Counterpart) -> dict[str, str]:
    """Return the guide's rows about a class: what became of each parameter."""
    provider_name = {OPERATOR.name: "BatchOperator", SENSOR.name: "BatchSensor"}[counterpart.name]
    table = GUIDE.read_text(encoding="utf-8").partition(f"| `{provider_name}` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| (.*) \|$", table, re.MULTILINE)
    return {name: what for names, what in rows for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("counterpart", INSTALLED.values(), ids=lambda each: each.name)
def test_the_guide_says_where_every_parameter_went(counterpart: Counterpart) -> None:
    """Each parameter has its row, with the name that it has here."""
    rows = _rows(counterpart)

    assert counterpart.parameters <= set(rows)
    for name, ours in {**counterpart.renamed, **counterpart.options}.items():
        assert f"`{ours}`" in rows[name], name
    for name in counterpart.options:
        assert "`submit_options`" in rows[name], name
    for name in counterpart.kept:
        assert f"`{name}`" in rows[name], name
    for name in counterpart.dropped:
        assert rows[name].startswith("none"), name


@pytest.mark.long
def test_messages_are_quoted_as_they_are() -> None:
    """The page about messages has the command's in its own words, and every reason to leave a whole file."""
    page = (GUIDE.parent / "troubleshooting.md").read_text(encoding="utf-8").partition("\n## What `migrate` says\n")[2]
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    quoted = {quote.rstrip(GAP) for cell in cells for quote in re.findall(r"`([^`]+)`", cell)}
    said = [text for place, node in nodes() if "migrat" in place.module and (text := template(node))]

    assert len(quoted) >= 15
    assert [each for each in quoted if not any(each in text for text in said)] == []


@pytest.mark.long
def test_airflows_own_parameters_are_known(tmp_path: Path) -> None:
    """A parameter of Airflow's is not one that nobody knows."""
    code = """
        import inspect, json
        from airflow.sdk import BaseOperator, BaseSensorOperator
        kinds = {"BatchJobOperator": [BaseOperator], "BatchJobSensor": [BaseOperator, BaseSensorOperator]}
        print(json.dumps({name: sorted({
            each for kind in bases for each in inspect.signature(kind.__init__).parameters} - {"self", "kwargs"}
        ) for name, bases in kinds.items()}))
    """
    known = airflow(code, tmp_path)

    assert set(known["BatchJobOperator"]) == OPERATOR.airflow
    assert set(known["BatchJobSensor"]) == SENSOR.airflow | {"poke_interval"}
