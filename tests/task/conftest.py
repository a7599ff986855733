"""What stands in this folder imports Airflow, which then has a home of its own."""

import tests.airflow_home  # noqa: F401 - sets it
