"""What stands behind `watch.py`: asking AWS about many jobs at once, and telling each follower about its own."""
