"""Metrics as Keras objects."""
