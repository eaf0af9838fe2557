"""Losses as Keras objects."""
