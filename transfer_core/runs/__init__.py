"""Runs that cannot be lost: the store, the worker process, and who starts it."""
