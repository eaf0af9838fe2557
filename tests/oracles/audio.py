"""Front ends in plain NumPy, sample by sample and frame by frame."""

import numpy as np


def mel_power(samples, window, shift, fft, edges_hz, sample_rate):
    """Mel energies, (frames, bands) float64: frame t is the window that ends with sample (t + 1) * shift - 1."""
    padded = np.concatenate([np.zeros(window - shift), samples])
    frequencies = np.arange(fft // 2 + 1) * sample_rate / fft
    frames = []
    for t in range(len(samples) // shift):
        piece = padded[t * shift : t * shift + window]
        taper = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / window) for n in range(window)])
        power = np.abs(np.fft.rfft(piece * taper, fft)) ** 2
        frames.append(
            [np.sum(power * np.interp(frequencies, edges_hz[b : b + 3], [0.0, 1.0, 0.0])) for b in range(len(edges_hz) - 2)]
        )
    return np.array(frames)


def pcen(energies, smoothing, gain, bias, power, floor, initial):
    """Per-channel energy normalisation (Wang et al. 2017), one frame after another."""
    average, frames = np.full(energies.shape[1], initial), []
    for energy in energies:
        average = (1 - smoothing) * average + smoothing * energy
        frames.append((energy / (floor + average) ** gain + bias) ** power - bias**power)
    return np.array(frames)
