"""Two tasks that only a network with a long memory solves: adding two marked numbers, and copying symbols after a pause.

Source: Hochreiter & Schmidhuber 1997; as posed by Le et al. 2015, arXiv:1504.00941 (adding) and Arjovsky et al. 2016,
arXiv:1511.06464 (copying, with 5 symbols in place of 10).
"""

import keras
import numpy as np
from tqdm import tqdm

import zoo
from apps.config import read_json
from apps.report import Section
from apps.run_folder import write_json

CELLS = ("rnn", "irnn", "gru", "lstm")
TASKS = ("adding", "copy")
SYMBOLS, COPIED = 8, 5
UNITS, BATCH, LOOK, TESTED = 96, 32, 100, 512
LEARNING_RATE, CLIP = 0.002, 1.0


def adding(rng, count, steps):
    """(frames, sums): (count, steps, 2) of numbers in [0, 1) and marks, one in each half; (count, 1, 1), the two marked numbers' sum."""
    frames = np.zeros((count, steps, 2), np.float32)
    frames[:, :, 0] = rng.random((count, steps))
    rows = np.arange(count)
    marks = rng.integers(0, steps // 2, count), rng.integers(steps // 2, steps, count)
    for places in marks:
        frames[rows, places, 1] = 1
    return frames, sum(frames[rows, places, 0] for places in marks)[:, None, None]


def copy(rng, count, steps):
    """(frames, symbols): symbols, blanks, after `steps` frames a sign, and blanks while the symbols are said again.

    frames: (count, steps + 2 COPIED, SYMBOLS + 2), one-hot. symbols: (count, COPIED).
    """
    symbols = rng.integers(0, SYMBOLS, (count, COPIED))
    tokens = np.full((count, steps + 2 * COPIED), SYMBOLS)
    tokens[:, :COPIED], tokens[:, steps + COPIED - 1] = symbols, SYMBOLS + 1
    return np.eye(SYMBOLS + 2, dtype=np.float32)[tokens], symbols


def network(cell, task, seed=0):
    """The zoo's network with a loss on the frames that are to answer, compiled."""
    features, outputs, answered = (2, 1, 1) if task == "adding" else (SYMBOLS + 2, SYMBOLS, COPIED)
    whole = zoo.build("recurrent_network", features=features, outputs=outputs, cell=cell, units=UNITS, seed=seed)
    model = keras.Model(whole.input, whole.output["outputs"][:, -answered:])
    loss = "mse" if task == "adding" else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=CLIP), loss=loss)
    return model


def measure(cell, task, steps, updates, seed=0):
    """Trains until the task is solved, or for so many updates.

    Returns {'solved': bool, 'updates': int, 'error': float}: the mean squared error of sums (always saying 1: 0.167; solved: below
    0.01), or the share of wrong symbols (guessing: 0.875; solved: below 0.01), on sequences that training never saw.
    """
    make = adding if task == "adding" else copy
    test = make(np.random.default_rng([seed, 1]), TESTED, steps)
    rng = np.random.default_rng([seed, 0])
    model, error, done = network(cell, task, seed), np.inf, 0
    with tqdm(total=updates, desc=f"{task}, {steps} steps, {cell}", unit="update", leave=False) as bar:
        while done < updates and error >= 0.01:
            for _ in range(min(LOOK, updates - done)):
                model.train_on_batch(*make(rng, BATCH, steps))
                done += 1
                bar.update()
            error = _error(model, test)
            if not np.isfinite(error):
                return {"solved": False, "updates": done, "error": None}
            bar.set_postfix(error=f"{error:.4f}")
    error = _error(model, make(np.random.default_rng([seed, 2]), TESTED, steps))  # others than those that chose when to stop
    return {"solved": bool(error < 0.01), "updates": done, "error": error}


def _error(model, test):
    frames, answers = test
    said = model.predict(frames, batch_size=128, verbose=0)
    wrong = (said - answers) ** 2 if answers.ndim == 3 else said.argmax(axis=-1) != answers
    return float(np.mean(wrong))


def tasks_section(options):
    """The table of what each network solves. What is done is kept in a JSON file beside the report, and not done again."""
    path = options.output.with_suffix(".json")
    done = read_json(path) if path.is_file() else {}
    rows = [("task", "steps", *CELLS)]
    for task in options.tasks:
        for steps in options.task_steps:
            row = []
            for cell in CELLS:
                name = f"{task}, {steps} steps, {cell}, {options.updates} updates"
                if name not in done:
                    done[name] = measure(cell, task, steps, options.updates)
                    write_json(path, done)
                found = done[name]
                result = "diverged" if found["error"] is None else "solved" if found["solved"] else "not solved"
                error = "" if found["error"] is None else f" ({found['error']:.4f})"
                row.append(f"{result}, {found['updates']} updates{error}")
            rows.append((task, steps, *row))
    return Section(
        "What each network can learn to remember",
        "Adding: the sum of the two marked numbers among so many; the error is the mean squared one (always saying 1: 0.167). "
        f"Copy: {COPIED} of {SYMBOLS} symbols after so many frames; the error is the share of wrong symbols (guessing: {1 - 1 / SYMBOLS}). "
        f"Solved: an error below 0.01 on {TESTED} sequences that training never saw, within {options.updates} updates of batches of {BATCH}; "
        f"{UNITS} units, Adam at {LEARNING_RATE}, the gradient's norm clipped at {CLIP:g}, one seed.",
        rows=rows,
    )
