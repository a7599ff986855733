"""What the Airflow of the demo is started with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from airflow_batch_jobs.demo.standalone import StandaloneAirflow, clean_environment, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_has_nothing_that_would_misdirect_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No database, no profile, no file in `~/.aws`; and it reaches itself without a proxy."""
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////nowhere/airflow.db")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    monkeypatch.setenv("HTTP_PROXY", "http://nowhere")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    environment = clean_environment()
    assert not {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AWS_PROFILE"} & environment.keys()
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert environment["HTTP_PROXY"] == "http://nowhere"
    for name in ("NO_PROXY", "no_proxy"):
        passed_by = {"no": environment[name]}
        assert all(proxy_bypass_environment(host, passed_by) for host in ("127.0.0.1:8080", "example.org"))
        assert not proxy_bypass_environment("amazonaws.com", passed_by)


def test_its_ports_are_different_ones() -> None:
    """Several are looked for at once."""
    assert len(set(free_ports(50))) == 50


def test_its_own_errors_are_found_in_what_it_writes(tmp_path: Path) -> None:
    """Of a task that could not begin nothing else says why; the last five are enough."""
    airflow = StandaloneAirflow(tmp_path, tmp_path)
    airflow.output.write_text(
        "api-server | INFO:     127.0.0.1:1 - no ERRORS\n"
        + "".join(f"scheduler  | 2026-01-01T00:00:0{second}Z [error    ] No {second}\n" for second in range(5))
        + "scheduler  | \x1b[2m2026-01-01\x1b[0m [\x1b[31m\x1b[1merror    \x1b[0m] Failed \x1b[36mx\n"
        + "api-server | sqlite3.OperationalError: database is locked\n"
        + "scheduler  | 2026-01-01T00:00:00Z [info     ] All is well\n"
    )
    assert airflow.errors().splitlines() == [
        *(f"scheduler  | 2026-01-01T00:00:0{second}Z [error    ] No {second}" for second in (2, 3, 4)),
        "scheduler  | 2026-01-01 [error    ] Failed x",
        "api-server | sqlite3.OperationalError: database is locked",
    ]
