"""`airflow-batch-jobs demo`, as the README tells people to run it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from airflow_batch_jobs.cli import app
from airflow_batch_jobs.demo import run

pytestmark = pytest.mark.e2e

_COMMAND = [str(Path(sys.executable).with_name("airflow-batch-jobs")), "demo"]


class Demo:
    """The demo as a process without a terminal and without stdin, in a temporary folder that shows what is left."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        # Each of its processes inherits this, however it is started.
        self._mark = uuid.uuid4().hex
        self._process = subprocess.Popen(
            [*_COMMAND, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(folder), "DEMO_TEST_MARK": self._mark},
            start_new_session=True,
        )
        self.output = ""

    def read_until(self, text: str) -> None:
        """Read what it prints until a line has a text in it."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"it ended without {text!r}: {self.output}")

    def send_to_all(self, number: signal.Signals) -> None:
        """Send a signal to its process group, as a terminal does at Ctrl-C."""
        os.killpg(self._process.pid, number)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        self._process.send_signal(number)

    def exit_code(self, seconds: float) -> int:
        """Wait for its end, and read the rest of what it prints."""
        self.output += self._process.communicate(timeout=seconds)[0]
        return self._process.returncode

    def leftovers(self) -> list[str]:
        """Return what is left of it: processes, by their command lines, and files."""
        return [*(" ".join(each) for each in self._processes()), *map(str, self.folder.iterdir())]

    def kill(self) -> None:
        """End it and what it has started, after a test that went wrong."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.communicate(timeout=240)

    def _processes(self) -> list[list[str]]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DEMO_TEST_MARK") == self._mark:
                    found.append(process.cmdline())
            except psutil.Error:  # it has just ended, or belongs to another user
                continue
        return found


@pytest.fixture
def folder() -> Path:
    """An empty folder with a short name, since the length of socket paths is limited."""
    return Path(tempfile.mkdtemp(prefix="demo-test-"))


def test_the_demo_shows_and_checks_everything_and_leaves_nothing(folder: Path) -> None:
    """The UI is left open, as --keep asks; Ctrl-C then ends it with 0, and nothing is left."""
    demo = Demo(folder, "--keep")
    try:
        demo.read_until("UI is open at")
        [url] = re.findall(r"UI is open at (\S+)", demo.output)
        assert httpx.get(url, follow_redirects=True, trust_env=False).status_code == 200
        demo.send_to_all(signal.SIGINT)
        exit_code = demo.exit_code(240)
    finally:
        demo.kill()

    assert exit_code == 0, demo.output
    assert demo.leftovers() == []
    for fact in (
        r"All 5 tasks are success",
        r"3 jobs ran survey-package:1 although revision 2 is the newest",
        r"log  survey\[0\] +\[5/5\] json\.tool: ",
        r"All \d+ lines that the jobs wrote are in the task logs",
        r"AWS Batch has terminated the job, \d+\.\d s after the click: Airflow task stopped by a user",
        r"log  count +Got SIGTERM",
        r"The task stays failed, as the user set it",
    ):
        assert re.search(fact, demo.output), f"{fact} is not in {demo.output}"
    folder.rmdir()


def test_without_keep_the_demo_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 0 as soon as both acts are over."""
    played: list[str] = []
    monkeypatch.setattr(run, "_start", lambda *_: None)
    monkeypatch.setattr(run, "run_pipeline", lambda _: played.append("pipeline"))
    monkeypatch.setattr(run, "stop_long_job", lambda _: played.append("stop"))
    result = CliRunner().invoke(app, ["demo"])

    assert result.exit_code == 0, result.output
    assert played == ["pipeline", "stop"]


@pytest.mark.parametrize(
    ("moment", "number"), [("Registered", signal.SIGINT), ("survey[0]         running", signal.SIGTERM)]
)
def test_a_signal_ends_the_demo_without_a_trace(folder: Path, moment: str, number: signal.Signals) -> None:
    """While Airflow starts as well as while jobs run, Ctrl-C and SIGTERM end everything."""
    demo = Demo(folder)
    try:
        demo.read_until(moment)
        (demo.send_to_all if number is signal.SIGINT else demo.send)(number)
        exit_code = demo.exit_code(240)
    finally:
        demo.kill()

    assert exit_code == 128 + number, demo.output
    assert "Traceback" not in demo.output
    assert demo.leftovers() == []
    folder.rmdir()
