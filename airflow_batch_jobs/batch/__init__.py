"""AWS Batch and CloudWatch Logs, without Airflow."""
