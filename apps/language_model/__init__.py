"""Language models: read text, score it, write it."""
