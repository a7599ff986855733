"""docs/metrics.md and the dashboard: they name the metrics, tags, spans and variables that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from airflow_batch_jobs.batch.cause import Cause
from tests.docs.source import ROOT, nodes, template
from tests.measured import METRICS, is_time

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
DASHBOARD = ROOT / "docs" / "grafana-dashboard.json"


def tables() -> list[list[list[str]]]:
    """Return the cells of each table of the page, without its heading."""
    found = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    return [[[c.strip() for c in row.strip("|").split(" | ")] for row in table.splitlines()[2:]] for table in found]


def quoted(text: str) -> tuple[str, ...]:
    """Return what a text quotes."""
    return tuple(re.findall(r"`([^`]+)`", text))


def texts() -> frozenset[str]:
    """Return all texts of the package."""
    return frozenset(text for _, node in nodes() if (text := template(node)) is not None)


def expressions(value: Any) -> list[str]:
    """Return all that the dashboard asks Prometheus."""
    if isinstance(value, dict):
        own = [each for key, each in value.items() if key in {"expr", "query"} and isinstance(each, str)]
        return own + [found for each in value.values() for found in expressions(each)]
    return [found for each in value for found in expressions(each)] if isinstance(value, list) else []


def in_prometheus(expression: str) -> set[str]:
    """Return which metrics an expression names."""
    return set(re.findall(r"\bairflow_\w+", expression))


def test_the_table_is_what_is_measured() -> None:
    """Names in their order, types and tags; times are in milliseconds."""
    told = [(*quoted(name), kind, unit == "milliseconds", quoted(tags)) for name, kind, unit, tags, _ in tables()[0]]
    kinds = {True: "timer", False: "counter"}
    assert told == [(metric.name, kinds[is_time(metric)], is_time(metric), metric.tags) for metric in METRICS]


def test_metrics_that_the_page_names_besides_are_measured() -> None:
    """With the value of their first tag where there are no tags."""
    known = {metric.name: metric for metric in METRICS}
    causes = {cause.value.replace(" ", "_") for cause in Cause}
    for name in re.findall(r"`(?:airflow\.)?(batch_jobs\.[\w.]+)`", PAGE):
        plain, _, value = (name, "", "") if name in known else name.rpartition(".")
        assert plain in known, name
        assert not value or known[plain].tags[0] != "cause" or value in causes


def test_the_dashboard_asks_for_what_is_measured() -> None:
    """Each metric has a panel, under its name in Prometheus; so has what the page would be alerted by."""
    measured = {f"airflow_{metric.name.replace('.', '_')}" for metric in METRICS}
    asked = [in_prometheus(expression) for expression in expressions(json.loads(DASHBOARD.read_text(encoding="utf-8")))]
    assert set().union(*asked) == measured
    alerts = [in_prometheus(query) for query, _ in tables()[1]]
    assert all(alerts)
    assert set().union(*alerts) <= measured


def test_the_dashboard_groups_by_tags_that_there_are() -> None:
    """A label that no metric has would show one line in place of several."""
    tags = {f"airflow_{metric.name.replace('.', '_')}": {*metric.tags, "quantile"} for metric in METRICS}
    for expression in expressions(json.loads(DASHBOARD.read_text(encoding="utf-8"))):
        for name in in_prometheus(expression):
            labels = re.findall(r"by \((\w+)\)", expression) + re.findall(r"[{,](\w+)=", expression)
            assert set(labels) <= tags[name], expression


@pytest.mark.parametrize("number", [2, 3])
def test_attributes_and_variables_are_those_that_there_are(number: int) -> None:
    """Of spans, and of a job's environment; Airflow's own variables have their names from Airflow."""
    from airflow.sdk.execution_time.context import AIRFLOW_VAR_NAME_FORMAT_MAPPING

    airflows = {names["env_var_format"] for names in AIRFLOW_VAR_NAME_FORMAT_MAPPING.values()}
    named = {name for row in tables()[number] for name in quoted(row[0])}
    assert named
    assert named <= texts() | airflows | {"AIRFLOW_CTX_MAP_INDEX"}


def test_every_attribute_of_a_span_is_on_the_page() -> None:
    """In its table."""
    named = {name for row in tables()[2] for name in quoted(row[0])}
    assert named == {text for text in texts() if re.fullmatch(r"batch\.(job|attempt)\.\w+|cloud\.\w+", text)}
