"""What the Airflow that is here has, and what is broken in it."""

from __future__ import annotations

from importlib.metadata import version

from packaging.version import Version

AIRFLOW = Version(version("apache-airflow"))
#: Whether it has `TaskGroup.loop`.
HAS_LOOPS = Version("3.4.0b1") <= AIRFLOW
#: Whether it asks plugins which tasks their tabs apply to.
SCOPES_TABS = Version("3.4.0b1") <= AIRFLOW
#: Why a task whose worker is lost cannot be tried again; empty where it can. Looked at anew with each version.
LOST_TASKS_STAY_LOST = (
    "the scheduler of Airflow 3.4.0b2 dies of an IntegrityError when it finds a lost task that is to be tried again"
    if Version("3.4.0b2") == AIRFLOW
    else ""
)
