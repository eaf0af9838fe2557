"""The one error that a person's mistake ends in."""


class InputError(ValueError):
    """Bad input: the message says what was received, what was expected and what to do."""


def check_sizes(*, least=1, **sizes):
    """Raises InputError for the first argument that is not an integer of at least `least`."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size < least:
            raise InputError(f"`{name}` is {size!r}; expected an integer of at least {least}.")
