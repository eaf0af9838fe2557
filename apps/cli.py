"""The command line: every task has the verbs below, and its own."""

import contextlib
import difflib
import io
import os
import sys
import traceback

import tyro

from apps.tasks import TASKS
from apps.verbs import VERBS
from tflite.runtime.errors import InputError as RuntimeInputError
from tflite.runtime.quiet import quiet_stderr
from zoo.errors import InputError


def main(arguments):
    """Runs one command. Exit code 0: done; 2: bad input; 130: interrupted."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InputError, RuntimeInputError, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if debug or not _disk_is_full(error):
            raise
        print(
            "error: a file could not be written, the disk or a limit is full; make room, then run the command again",
            file=sys.stderr,
        )
        return 2


def _one_line(error):
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and not isinstance(error, (InputError, RuntimeInputError)):
        return f"{text}; check that it is there and may be read or written, and that the disk has room"
    return text


def _run(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    task = TASKS.get(arguments[0])
    if task is None:
        raise InputError(
            f"{arguments[0]!r} is no task; expected {_nearest(arguments[0], TASKS)}. `python -m apps --help` shows all."
        )
    verbs = {**VERBS, **{verb.name: verb for verb in task.verbs}}
    if len(arguments) == 1 or arguments[1] in ("-h", "--help"):
        print(_task_overview(task, verbs))
        return 0
    verb = verbs.get(arguments[1])
    if verb is None:
        raise InputError(f"{arguments[1]!r} is no verb of {task.name}; expected {_nearest(arguments[1], verbs)}.")
    options = _parse(task, verb, arguments[2:])
    quiet_tensorflow()
    if verb is VERBS.get(arguments[1]):
        return verb.run(task, options) or 0
    return getattr(task.functions, verb.function)(options) or 0


def _parse(task, verb, arguments):
    options = verb.options if isinstance(verb.options, type) else verb.options(task)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return tyro.cli(
                options,
                args=arguments,
                prog=f"python -m apps {task.name} {verb.name}",
                description=options.__doc__,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stopped:
        # a value out of bounds: our one line in place of a box
        ours = [error for error in _chain(stopped) if isinstance(error, (InputError, RuntimeInputError))]
        if ours:
            raise ours[0] from None
        sys.stderr.write(printed.getvalue())
        raise


def _chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _disk_is_full(error):
    """Whether a write failed for want of room, whoever reports it: TensorFlow and the converter have errors of their own."""
    texts = ("No space left on device", "File too large", "Disk quota exceeded")
    return any(text in str(part) for part in _chain(error) for text in texts)


def quiet_tensorflow():
    """Imports TensorFlow without its start-up notes, which are not for users."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import tensorflow  # noqa: F401


def _nearest(name, known):
    return " or ".join(difflib.get_close_matches(name, known, n=2) or sorted(known))


def _overview():
    width = max(map(len, TASKS))
    lines = [f"  {name.ljust(width)}  {task.summary}" for name, task in TASKS.items()]
    return "\n".join(
        [
            "usage: python -m apps TASK VERB [options]   (--debug shows tracebacks)",
            "",
            "tasks:",
            *lines,
            "",
            "`python -m apps TASK --help` shows a task's verbs, `python -m apps TASK VERB --help` a verb's options.",
        ]
    )


def _task_overview(task, verbs):
    width = max(map(len, verbs))
    lines = [f"  {name.ljust(width)}  {_summary(task, verb)}" for name, verb in verbs.items()]
    return "\n".join(
        [f"usage: python -m apps {task.name} VERB [options]", "", f"{task.name}: {task.summary}", "", "verbs:", *lines]
    )


def _summary(task, verb):
    options = verb.options if isinstance(verb.options, type) else verb.options(task)
    return options.__doc__.strip().split("\n")[0]
