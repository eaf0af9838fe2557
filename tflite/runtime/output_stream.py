"""From a stream of samples to what a step model says of it, chunk by chunk."""

import numpy as np

from .front_end import FrontEnd


class OutputStream:
    """Front end, step model and the states of one stream. model: a StepModel. output: the name of what `push` gives."""

    def __init__(self, manifest, model, output):
        self._model, self._output, self._frames_per_step = model, output, manifest["frames_per_step"]
        self._width = manifest["outputs"][output]["shape"][-1]
        self._front_end = FrontEnd(manifest["front_end"], manifest["sample_rate"])
        self._rest = np.zeros((0, self._front_end.bands), np.float32)
        self._state = model.initial_state()

    def push(self, samples):
        """samples: (n,) float32. Returns the outputs that they complete, (outputs, width) float32."""
        frames = np.concatenate([self._rest, self._front_end.push(samples)])
        size, found = self._frames_per_step, []
        for start in range(0, len(frames) - size + 1, size):
            outputs, self._state = self._model.step({"frames": frames[None, start : start + size]}, self._state)
            found.append(outputs[self._output][0])
        self._rest = frames[len(found) * size :]
        return np.concatenate(found) if found else np.zeros((0, self._width), np.float32)
