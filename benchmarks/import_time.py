"""What a DAG file pays for importing this package.

Run it with `python benchmarks/import_time.py`. Every figure is the median of fresh processes, in CPU time, which other
work on the machine affects least; the two DAG files take turns. Airflow's own import takes seconds and varies by more
than this package costs, so that cost is also measured inside the process, from the first line that is not Airflow's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from statistics import median

TARGET_MS = 50

PACKAGE = "import airflow_batch_jobs"

AIRFLOW_DAG = """
from airflow.sdk import DAG, BaseOperator

with DAG("plain", schedule=None):
    BaseOperator(task_id="align")
"""

OUR_DAG = f"""
{AIRFLOW_DAG}
airflow_loaded = process_time()
from airflow_batch_jobs import BatchJobOperator, Field, JobDefinition

class Align(JobDefinition, name="align-reads", revision=7):
    sample: str
    reference: str = "s3://refs/hg38.fa"
    threads: int = Field(default=4, ge=1)

with DAG("ours", schedule=None):
    BatchJobOperator(task_id="align", job_queue="science", definition=Align(sample="NA12878"))
"""

_TIMED = """
import json
from time import process_time
airflow_loaded = start = process_time()
{source}
end = process_time()
print(json.dumps([(end - start) * 1000, (end - airflow_loaded) * 1000]))
"""


def timed(source: str, environment: dict[str, str]) -> tuple[float, float]:
    """Run source code in a fresh process; return its milliseconds, and this package's share of them."""
    command = [sys.executable, "-c", _TIMED.format(source=source)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    whole, own = json.loads(result.stdout.splitlines()[-1])
    return whole, own


def verdict(milliseconds: float) -> str:
    """Say whether the target is met."""
    return f"target {TARGET_MS} ms: {'met' if milliseconds <= TARGET_MS else 'MISSED'}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="fresh processes for each figure (default: 7)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        timed(OUR_DAG, environment)  # writes bytecode and Airflow's configuration file
        package = median(timed(PACKAGE, environment)[0] for _ in range(runs))
        pairs = [(timed(AIRFLOW_DAG, environment)[0], *timed(OUR_DAG, environment)) for _ in range(runs)]
    airflow, ours, own = (median(column) for column in zip(*pairs, strict=True))
    print(f"medians of {runs} fresh processes, CPU time")
    print(f"import airflow_batch_jobs        {package:8.1f} ms   {verdict(package)}")
    print(f"DAG file, Airflow alone          {airflow:8.1f} ms")
    print(f"DAG file, our operator too       {ours:8.1f} ms   {ours / airflow:.3f} times, {ours - airflow:+.1f} ms")
    print(f"  of it ours                     {own:8.1f} ms   {verdict(own)}")


if __name__ == "__main__":
    main()
