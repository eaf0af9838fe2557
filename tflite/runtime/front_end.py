"""The front end on the device: samples in, feature frames out, in NumPy.

It computes what `zoo.layers.MelFrontEnd` computes in training; golden features in tests/ hold both together.
All its numbers come from the manifest's `front_end`.
"""

import numpy as np

from .errors import InputError

_BLOCK = 256  # frames per smoothing block: bounds memory, does not change the result


def mel_filter_bank(edges_hz, fft, sample_rate):
    """Triangles over the FFT's bins. edges_hz: bands + 2 rising frequencies. Returns (fft // 2 + 1, bands) float64."""
    edges = np.asarray(edges_hz, np.float64)
    bins = np.arange(fft // 2 + 1)[:, None] * (sample_rate / fft)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


def hann(window):
    """The periodic Hann window of `window` samples, float64."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)


def smoothing_matrix(length, smoothing):
    """First-order smoothing of a block as one product: `matrix @ energies + decay[:, None] * carry`.

    Returns (length, length) weights of the block's own frames and (length,) weights of the carried average.
    """
    steps = np.arange(length)
    lag = steps[:, None] - steps[None, :]
    matrix = np.where(lag >= 0, smoothing * (1.0 - smoothing) ** np.maximum(lag, 0), 0.0)
    return matrix, (1.0 - smoothing) ** (steps + 1)


class FrontEnd:
    """Turns a stream of samples into log-mel or PCEN frames, chunk by chunk.

    parameters: the manifest's `front_end`. `push` takes float32 samples in [-1, 1] of any length and returns the
    frames they complete, (frames, bands) float32. Frame t ends with sample (t + 1) * shift - 1; zeros precede the stream.
    """

    def __init__(self, parameters, sample_rate):
        self.window, self.shift, self.fft = parameters["window"], parameters["shift"], parameters["fft"]
        self.bands = len(parameters["edges_hz"]) - 2
        self.compression, self.constants = parameters["compression"], parameters[parameters["compression"]]
        self._taper = hann(self.window).astype(np.float32)
        self._padded = np.zeros((_BLOCK, self.fft), np.float32)  # windowed frames, and the zeros behind them
        self._bank = mel_filter_bank(parameters["edges_hz"], self.fft, sample_rate).astype(np.float32)
        if self.compression not in ("log", "log10", "pcen"):
            raise InputError(f"the manifest's compression is {self.compression!r}; expected 'log', 'log10' or 'pcen'.")
        if self.compression == "log10":
            self._gains = np.asarray(self.constants["gains"], np.float32)
        if self.compression == "pcen":
            matrix, decay = smoothing_matrix(_BLOCK, self.constants["smoothing"])
            self._matrix, self._decay = matrix.astype(np.float32), decay.astype(np.float32)
            floor, gain, bias, power = (np.float32(self.constants[name]) for name in ("floor", "gain", "bias", "power"))
            self._pcen_constants = floor, gain, bias, power, bias**power
        self.reset()

    def reset(self):
        """Forgets everything heard."""
        self._rest = np.zeros(self.window - self.shift, np.float32)
        if self.compression == "pcen":
            self._average = np.full(self.bands, self.constants["initial"], np.float32)

    def push(self, samples):
        buffer = np.concatenate([self._rest, samples], dtype=np.float32)
        count = max(0, (len(buffer) - self.window) // self.shift + 1)
        self._rest = buffer[count * self.shift :].copy()
        frames = [
            self._features(buffer[i * self.shift : (min(i + _BLOCK, count) - 1) * self.shift + self.window])
            for i in range(0, count, _BLOCK)
        ]
        return np.concatenate(frames) if frames else np.zeros((0, self.bands), np.float32)

    def _features(self, samples):
        count = (len(samples) - self.window) // self.shift + 1
        # every `shift` samples a frame, without a copy; sliding_window_view takes ten times as long
        frames = np.ndarray((count, self.window), np.float32, samples, 0, (4 * self.shift, 4))
        np.multiply(frames, self._taper, out=self._padded[:count, : self.window])
        spectrum = np.fft.rfft(self._padded[:count])
        energies = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ self._bank
        if self.compression == "log":
            return np.log(energies + np.float32(self.constants["floor"]))
        if self.compression == "log10":
            return np.log10(energies * self._gains + np.float32(self.constants["floor"])) + np.float32(self.constants["offset"])
        return self._pcen(energies)

    def _pcen(self, energies):
        n = len(energies)
        floor, gain, bias, power, offset = self._pcen_constants
        average = self._matrix[:n, :n] @ energies + self._decay[:n, None] * self._average
        self._average = average[-1]
        gained = energies * (floor + average) ** -gain
        return (gained + bias) ** power - offset
