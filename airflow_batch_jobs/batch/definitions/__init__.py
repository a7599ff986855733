"""What stands behind `definition.py`: references, the reading of values, and errors in one line."""
