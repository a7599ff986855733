"""migrate: it, and the guide, know every parameter of the provider's classes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_batch_jobs.migration.counterparts import COUNTERPARTS, Counterpart
from tests.cli.migrating import airflow

GUIDE = Path(__file__).parents[2] / "docs" / "from-batch-operator.md"
OPERATOR, SENSOR = COUNTERPARTS.values()


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
    found: dict[str, list[str]] = airflow(code, tmp_path_factory.mktemp("provider"), *COUNTERPARTS)
    return found


@pytest.mark.parametrize("full_name", COUNTERPARTS)
def test_every_parameter_of_the_provider_is_dealt_with(
    provider_parameters: dict[str, list[str]], full_name: str
) -> None:
    """A parameter that a new version of the provider brings, or takes away, shows here."""
    assert COUNTERPARTS[full_name].parameters == set(provider_parameters[full_name])


def _rows(counterpart: Counterpart) -> dict[str, str]:
    """Return the guide's rows about a class: what became of each parameter."""
    provider_name = {OPERATOR.name: "BatchOperator", SENSOR.name: "BatchSensor"}[counterpart.name]
    table = GUIDE.read_text(encoding="utf-8").partition(f"| `{provider_name}` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| (.*) \|$", table, re.MULTILINE)
    return {name: what for names, what in rows for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("counterpart", COUNTERPARTS.values(), ids=lambda each: each.name)
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
