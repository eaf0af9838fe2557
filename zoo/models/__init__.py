"""Builders, one file a family, named after the task's term in the literature."""
