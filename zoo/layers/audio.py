"""Front ends: samples in, feature frames out."""

import keras
import numpy as np
from keras import ops

from zoo.errors import InputError

_BLOCK = 64  # frames per smoothing block; the result does not depend on it


def mel_edges_hz(bands, low_hz, high_hz):
    """bands + 2 frequencies, evenly spaced on the mel scale of O'Shaughnessy 1987 (2595 log10(1 + f / 700))."""
    low, high = (2595.0 * np.log10(1.0 + f / 700.0) for f in (low_hz, high_hz))
    return 700.0 * (10.0 ** (np.linspace(low, high, bands + 2) / 2595.0) - 1.0)


def slaney_edges_hz(bands, low_hz, high_hz):
    """bands + 2 frequencies, evenly spaced on Slaney's mel scale (Auditory Toolbox 1998): linear to 1 kHz, logarithmic above."""
    step = np.log(6.4) / 27.0
    low, high = (f * 3.0 / 200.0 if f < 1000.0 else 15.0 + np.log(f / 1000.0) / step for f in (low_hz, high_hz))
    mels = np.linspace(low, high, bands + 2)
    return np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * np.exp(step * (mels - 15.0)))


def mel_filter_bank(edges_hz, fft, sample_rate):
    """Triangles of height 1 over the FFT's bins, (fft // 2 + 1, bands) float64."""
    bins = np.arange(fft // 2 + 1)[:, None] * (sample_rate / fft)
    rising = (bins - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins) / (edges_hz[2:] - edges_hz[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


@keras.saving.register_keras_serializable("zoo")
class MelFrontEnd(keras.layers.Layer):
    """Log-mel or PCEN frames of a stream of samples; causal, so that it streams.

    samples: (batch, samples) float32 in [-1, 1]. Returns (batch, samples // shift, bands) float32.
    Frame t ends with sample (t + 1) * shift - 1; zeros precede the stream. The window is Hann (periodic).
    compression: 'log': ln(energy + log_floor); 'log10': log10(gain * energy + log_floor) + log_offset with a gain for each band
    of log_gain / its area in Hz; 'pcen': per-channel energy normalisation with fixed constants
    (Wang et al. 2017, arXiv:1607.05666), whose running average starts at `pcen_initial`.
    """

    def __init__(
        self,
        sample_rate=16000,
        window=400,
        shift=160,
        fft=512,
        bands=40,
        low_hz=60.0,
        high_hz=7600.0,
        compression="pcen",
        mel_scale="oshaughnessy",
        log_floor=1e-6,
        log_gain=1.0,
        log_offset=0.0,
        pcen_smoothing=0.025,
        pcen_gain=0.98,
        pcen_bias=2.0,
        pcen_power=0.5,
        pcen_floor=1e-6,
        pcen_initial=1e-3,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if compression not in ("log", "log10", "pcen"):
            raise InputError(f"`compression` is {compression!r}; expected 'log', 'log10' or 'pcen'.")
        if mel_scale not in ("oshaughnessy", "slaney"):
            raise InputError(f"`mel_scale` is {mel_scale!r}; expected 'oshaughnessy' or 'slaney'.")
        if not shift <= window <= fft:
            raise InputError(f"`shift`, `window`, `fft` are {shift}, {window}, {fft}; expected them to rise.")
        if not 0 <= low_hz < high_hz <= sample_rate / 2:
            raise InputError(f"`low_hz`, `high_hz` are {low_hz}, {high_hz}; expected 0 <= low < high <= {sample_rate / 2}.")
        self.options = {
            "sample_rate": sample_rate,
            "window": window,
            "shift": shift,
            "fft": fft,
            "bands": bands,
            "low_hz": low_hz,
            "high_hz": high_hz,
            "compression": compression,
            "mel_scale": mel_scale,
            "log_floor": log_floor,
            "log_gain": log_gain,
            "log_offset": log_offset,
            "pcen_smoothing": pcen_smoothing,
            "pcen_gain": pcen_gain,
            "pcen_bias": pcen_bias,
            "pcen_power": pcen_power,
            "pcen_floor": pcen_floor,
            "pcen_initial": pcen_initial,
        }
        edges = mel_edges_hz if mel_scale == "oshaughnessy" else slaney_edges_hz
        self.edges_hz = edges(bands, low_hz, high_hz)
        self._gains = log_gain * 2.0 / (self.edges_hz[2:] - self.edges_hz[:-2])
        self._taper = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)).astype("float32")
        self._bank = mel_filter_bank(self.edges_hz, fft, sample_rate).astype("float32")

    def get_config(self):
        return {**super().get_config(), **self.options}

    def manifest(self):
        """The device manifest's `front_end`: all that another implementation needs."""
        o = self.options
        constants = {
            "log": {"floor": o["log_floor"]},
            "log10": {"gains": self._gains.tolist(), "floor": o["log_floor"], "offset": o["log_offset"]},
            "pcen": {key: o[f"pcen_{key}"] for key in ("smoothing", "gain", "bias", "power", "floor", "initial")},
        }[o["compression"]]
        return {
            "window": o["window"],
            "shift": o["shift"],
            "fft": o["fft"],
            "edges_hz": self.edges_hz.tolist(),
            "compression": o["compression"],
            o["compression"]: constants,
        }

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return (batch, None if samples is None else samples // self.options["shift"], self.options["bands"])

    def call(self, samples):
        history = self.options["window"] - self.options["shift"]
        frames, _ = self._frames(ops.pad(samples, ((0, 0), (history, 0))), self._initial_average(samples))
        return frames

    def initial_state(self, input_shape):
        """Buffers of the stream: (name, shape, initial value) each."""
        states = [("samples", (1, self.options["window"] - self.options["shift"]), 0.0)]
        if self.options["compression"] == "pcen":
            states.append(("average", (1, self.options["bands"]), self.options["pcen_initial"]))
        return states

    def stream(self, samples, states):
        """One step: the next samples (1, n * shift) and the states in, frames and next states out."""
        joined = ops.concatenate([states[0], samples], axis=1)
        average = states[1] if len(states) > 1 else None
        frames, average = self._frames(joined, average)
        history = self.options["window"] - self.options["shift"]
        following = [joined[:, joined.shape[1] - history :]]
        return frames, following + ([] if average is None else [average])

    def _initial_average(self, samples):
        return ops.full((ops.shape(samples)[0], self.options["bands"]), self.options["pcen_initial"], "float32")

    def _frames(self, samples, average):
        o = self.options
        frames = ops.extract_sequences(samples, o["window"], o["shift"]) * self._taper
        real, imaginary = ops.rfft(frames, o["fft"])
        energies = ops.matmul(ops.square(real) + ops.square(imaginary), self._bank)
        if o["compression"] == "log":
            return ops.log(energies + o["log_floor"]), None
        if o["compression"] == "log10":
            return ops.log10(energies * self._gains.astype("float32") + o["log_floor"]) + o["log_offset"], None
        averages = self._smooth(energies, average)
        gained = energies * ops.power(o["pcen_floor"] + averages, -o["pcen_gain"])
        frames = ops.power(gained + o["pcen_bias"], o["pcen_power"]) - o["pcen_bias"] ** o["pcen_power"]
        return frames, averages[:, -1]

    def _smooth(self, energies, average):
        """average[t] = (1 - s) average[t-1] + s energy[t], for all t at once: inside blocks, then across them."""
        s, bands = self.options["pcen_smoothing"], self.options["bands"]
        time = ops.shape(energies)[1]
        blocks = (time + _BLOCK - 1) // _BLOCK
        padded = ops.pad(energies, ((0, 0), (0, blocks * _BLOCK - time), (0, 0)))
        padded = ops.reshape(padded, (-1, blocks, _BLOCK, bands))
        lag = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)
        within = np.where(lag >= 0, s * (1.0 - s) ** np.maximum(lag, 0), 0.0).astype("float32")
        inside = ops.einsum("ij,bnjf->bnif", within, padded)
        # a block's carry: every earlier block's last average, decayed by the frames since
        steps = ops.cast(ops.arange(blocks), "float32")
        distance = steps[:, None] - steps[None, :] - 1.0
        decay = ops.where(distance >= 0, ops.power((1.0 - s) ** _BLOCK, ops.maximum(distance, 0.0)), 0.0)
        carry = ops.einsum("nm,bmf->bnf", decay, inside[:, :, -1])
        carry = carry + ops.power((1.0 - s) ** _BLOCK, steps)[None, :, None] * average[:, None]
        fade = ((1.0 - s) ** np.arange(1, _BLOCK + 1)).astype("float32")
        averages = inside + carry[:, :, None] * fade[None, None, :, None]
        return ops.reshape(averages, (-1, blocks * _BLOCK, bands))[:, :time]


def speech_embedding_front_end():
    """The frames that `speech_embedding` was pretrained on: 32 bands from 60 to 3800 Hz, a frame every 10 ms.

    Source: openWakeWord's melspectrogram model, divided by 10 and plus 2 as its authors do. The floor is what rounding to 16 bits
    leaves, so that digital silence sounds like a very quiet room; theirs is 80 dB below the loudest of a call.
    """
    return MelFrontEnd(
        bands=32,
        high_hz=3800.0,
        mel_scale="slaney",
        compression="log10",
        log_floor=0.4,
        log_gain=2.0**30,
        log_offset=2.0,
    )


@keras.saving.register_keras_serializable("zoo")
class Spectrogram(keras.layers.Layer):
    """The course's linear spectrogram: one-sided power spectral density, as matplotlib's specgram gives it.

    samples: (batch, samples) float32. Returns (batch, (samples - window) // shift + 1, window // 2 + 1) float32.
    10 s at 44.1 kHz with the defaults give (5511, 101). sample_rate only scales the density. Source: the notes' trigger word section.
    """

    def __init__(self, window=200, shift=80, sample_rate=8000, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if not 0 < shift <= window:
            raise InputError(f"`shift`, `window` are {shift}, {window}; expected 0 < shift <= window.")
        self.window, self.shift, self.sample_rate = window, shift, sample_rate
        self._taper = np.hanning(window).astype("float32")
        scale = np.full(window // 2 + 1, 2.0 / (sample_rate * np.sum(np.hanning(window) ** 2)))
        scale[0] /= 2
        if window % 2 == 0:
            scale[-1] /= 2
        self._scale = scale.astype("float32")

    def get_config(self):
        return {**super().get_config(), "window": self.window, "shift": self.shift, "sample_rate": self.sample_rate}

    def call(self, samples):
        frames = ops.extract_sequences(samples, self.window, self.shift) * self._taper
        real, imaginary = ops.rfft(frames, self.window)
        return (ops.square(real) + ops.square(imaginary)) * self._scale
