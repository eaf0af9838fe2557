"""Files of released formats, kept for good: old files must load for ever and give the same numbers."""
