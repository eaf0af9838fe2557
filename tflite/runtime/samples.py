"""Samples as anyone has them."""

import numpy as np

from .errors import InputError

LOUDEST = 8.0  # float samples are in [-1, 1]; resampling overshoots a little, forgotten scaling by thousands


def as_float(samples):
    """(n,) float32 in [-1, 1] of (n,) int16, or of floats that are in that range; anything else is refused."""
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise InputError(f"samples have the shape {samples.shape}; expected (n,), one channel.")
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768)
    if samples.dtype.kind != "f":
        raise InputError(f"samples are {samples.dtype}; expected int16, or float in [-1, 1].")
    samples = samples.astype(np.float32)
    peak = np.abs(samples).max(initial=0.0)
    if not np.isfinite(peak):
        raise InputError("samples hold NaN or infinity; expected numbers in [-1, 1]. Check the recording or its conversion.")
    if peak > LOUDEST:
        raise InputError(f"float samples reach {peak:g}; expected [-1, 1]. Divide 16-bit values by 32768, or pass int16.")
    return samples
