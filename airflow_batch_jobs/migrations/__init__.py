"""Behind `airflow_batch_jobs.migration`: the provider's parameters and ours, and the code that is rewritten."""
