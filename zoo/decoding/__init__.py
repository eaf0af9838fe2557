"""From scores to symbols: samplers and searches."""
