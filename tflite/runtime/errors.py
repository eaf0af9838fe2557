"""The one error that a person's mistake ends in."""


class InputError(ValueError):
    """Bad input: the message says what was received, what was expected and what to do."""
