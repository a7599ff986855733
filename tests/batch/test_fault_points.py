"""Fault points: a process is held or killed, or crashes, where a test has said so, once, and nowhere else."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.batch.fault_points import VARIABLE, reach

if TYPE_CHECKING:
    from pathlib import Path

_PASS = f"""
import os, sys
os.environ["{VARIABLE}"] = sys.argv[1]
from airflow_batch_jobs.batch.fault_points import reach
reach("here", "run")
print("passed")
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """Start a process that passes the point."""
    return subprocess.Popen([sys.executable, "-c", _PASS, str(folder)], stdout=subprocess.PIPE, text=True)


def test_a_point_is_passed_where_nothing_is_armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable no folder is looked at, and a file for another run is left alone."""
    armed = tmp_path / "here@run"
    armed.write_text("kill")
    reach("here", "run")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    reach("here", "another run")
    assert armed.exists()


def test_an_armed_point_kills_one_process(tmp_path: Path) -> None:
    """The next one passes."""
    (tmp_path / "here@run").write_text("kill")
    first = start(tmp_path)
    assert first.communicate(timeout=30)[0] == ""
    assert first.returncode == -signal.SIGKILL
    assert (tmp_path / "here@run.reached").read_text() == str(first.pid)
    assert start(tmp_path).communicate(timeout=30)[0] == "passed\n"


def test_an_armed_point_has_its_process_crash_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves word of it."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "here@run").write_text("raise")
    with pytest.raises(RuntimeError, match="here@run was armed"):
        reach("here", "run")
    reach("here", "run")
    assert (tmp_path / "here@run.reached").exists()


def test_a_process_is_held_until_it_is_let_go(tmp_path: Path) -> None:
    """Meanwhile it leaves its process id."""
    (tmp_path / "here@run").write_text("wait")
    reached = tmp_path / "here@run.reached"
    process = start(tmp_path)
    while not reached.exists():
        assert process.poll() is None
    assert reached.read_text() == str(process.pid)
    reached.unlink()
    assert process.communicate(timeout=30)[0] == "passed\n"
