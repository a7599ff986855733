"""The demo: a local AWS, an Airflow of its own and the example pipeline, in one command."""
