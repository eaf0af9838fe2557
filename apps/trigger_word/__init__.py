"""Trigger word detection: recordings in, a detector on a device out."""
