"""Waiting for many jobs in a real triggerer."""
