"""Keeps native libraries' notes off the terminal; errors still come as exceptions."""

import contextlib
import os
import sys
import warnings


@contextlib.contextmanager
def quiet_stderr():
    """Sends the process's standard error nowhere for a while, Python's warnings included."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
