"""Tasks: train, evaluate and export the zoo's models on real data."""
