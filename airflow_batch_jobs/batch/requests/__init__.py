"""What stands behind `request.py`: AWS's limits, its model of SubmitJob, and whose job it is."""
