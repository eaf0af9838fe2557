"""Layers that change what is trained on, and nothing else."""

import keras
from keras import ops

from zoo.errors import InputError, check_sizes
from zoo.layers.temporal import FrameLayer


@keras.saving.register_keras_serializable("zoo")
class SpecAugment(FrameLayer):
    """Blanks out stretches of time and of frequency in training, so that no single cue is relied on; other times it passes frames on.

    frames: (batch, time, bands). Returns the same shape. Each of time_masks hides 0 to time_width frames, but no more than time_share of the
    clip; each of band_masks hides 0 to band_width bands. Every clip has its own. Source: Park et al. 2019, arXiv:1904.08779 (masks, no warp;
    hidden frames are zero).
    """

    def __init__(self, time_masks=2, time_width=40, band_masks=2, band_width=10, time_share=0.2, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_sizes(least=0, time_masks=time_masks, time_width=time_width, band_masks=band_masks, band_width=band_width)
        if not 0 <= time_share <= 1:
            raise InputError(f"`time_share` is {time_share!r}; expected 0 to 1.")
        self.options = {
            "time_masks": time_masks,
            "time_width": time_width,
            "band_masks": band_masks,
            "band_width": band_width,
            "time_share": time_share,
            "seed": seed,
        }
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator(seed)

    def get_config(self):
        return {**super().get_config(), **self.options}

    def call(self, frames, mask=None, training=False):
        if not training:
            return frames
        o, (batch, time, bands) = self.options, ops.shape(frames)
        lengths = ops.full((batch,), time, "int32") if mask is None else ops.sum(ops.cast(mask, "int32"), axis=1)
        lengths = ops.cast(lengths, "float32")[:, None]
        widest = ops.minimum(float(o["time_width"]), o["time_share"] * lengths)
        shown = self._shown(o["time_masks"], widest, lengths, time)[:, :, None]
        every = ops.full((batch, 1), float(bands))
        shown = shown & self._shown(o["band_masks"], ops.minimum(float(o["band_width"]), every), every, bands)[:, None]
        return frames * ops.cast(shown, frames.dtype)

    def _shown(self, count, widest, lengths, size):
        """(batch, size) bool: what none of `count` masks hides. widest, lengths: (batch, 1)."""
        batch = ops.shape(lengths)[0]
        draw = keras.random.uniform((2, batch, count), seed=self.seed_generator)
        widths = ops.floor(draw[0] * (widest + 1.0))
        starts = ops.floor(draw[1] * (lengths - widths + 1.0))
        place = ops.cast(ops.arange(size), "float32")[None, :, None]
        return ops.logical_not(ops.any((place >= starts[:, None]) & (place < (starts + widths)[:, None]), axis=2))
