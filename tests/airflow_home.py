"""A home of its own for the Airflow in this process, which reads it when imported: all tests begin with this module.

Nothing of the developer's Airflow is left in the environment either: its database must not become that of the tests.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

HOME = tempfile.mkdtemp(prefix="airflow-batch-jobs-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__BATCH_JOBS__LOG_SETTLE_SECONDS": "0.1",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": f"{HOME}/dags",
}
