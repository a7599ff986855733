"""Run pinned AWS Batch jobs from Airflow."""
