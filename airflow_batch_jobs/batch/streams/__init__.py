"""What stands behind `logs.py`: following many log streams with few calls, and what one event is."""
