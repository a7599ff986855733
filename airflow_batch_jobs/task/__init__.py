"""A task at work: what submits, waits and stops for a task instance, on a worker and in a triggerer."""
