"""What the tests have of the machine: an Airflow home of their own, and nothing else that somebody has set there.

Airflow reads its home when it is imported, so all tests begin with this module. Neither the developer's Airflow nor
their AWS is left in the environment, nor what terminals and CI hosts put there; what tests start inherits that. A proxy
stays, since packages may come through it, but not for addresses of this machine.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_PREFIXES = ("AIRFLOW", "AWS_", "BOTO", "CLICOLOR", "COMPOSE_", "LOCAL_AWS_", "OTEL_", "PG", "TRACE", "TTY_")
_NAMES = {
    *("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TERMINAL_WIDTH", "GITHUB_ACTIONS"),
    *("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"),
}

HOME = tempfile.mkdtemp(prefix="airflow-batch-jobs-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
for name in [name for name in os.environ if name.startswith(_PREFIXES) or name in _NAMES]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__BATCH_JOBS__LOG_SETTLE_SECONDS": "0.1",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": f"{HOME}/dags",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
    "TERM": "xterm",
}
_HOSTS = (os.environ.get("no_proxy"), os.environ.get("NO_PROXY"), "127.0.0.1", "localhost")
os.environ |= dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(filter(None, _HOSTS)))
