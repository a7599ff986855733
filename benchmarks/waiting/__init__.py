"""Waiting for many jobs: the Amazon provider's trigger, this package's, and the floor, side by side."""
