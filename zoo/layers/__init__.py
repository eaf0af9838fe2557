"""Keras layers of the zoo, one file a family."""
