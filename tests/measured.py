"""What is measured: all metrics, in their order, and their kinds."""

from __future__ import annotations

from airflow_batch_jobs.batch import meter

METRICS = tuple(each for each in vars(meter).values() if isinstance(each, meter.Metric))


def is_time(metric: meter.Metric) -> bool:
    """Tell whether a metric is a time; the others are counted."""
    return metric.name.endswith("_seconds")
