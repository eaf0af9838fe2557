"""Generated backgrounds and rooms: coloured noise, hum, chords, babble, reverberation. All from a counter-based seed."""

import numpy as np
from scipy.signal import fftconvolve

RATE = 16000


def coloured_noise(draw, seconds):
    """White, pink or brown noise, or anything between, of peak 1."""
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(draw.normal(count).astype(np.float64))
    frequency = np.maximum(np.arange(len(spectrum)), 1.0)
    return _peak(np.fft.irfft(spectrum * frequency ** -draw.uniform(0.0, 1.1), count))


def hum(draw, seconds):
    """Mains hum: harmonics of 50 or 60 Hz over faint noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    base = draw.choice((50.0, 60.0)) * draw.choice((1.0, 2.0, 3.0))
    tones = [draw.uniform(0.1, 1.0) / k * np.sin(2 * np.pi * (base * k * time + draw.uniform())) for k in range(1, 12)]
    return _peak(np.sum(tones, axis=0) + 0.05 * draw.normal(len(time)))


def chords(draw, seconds):
    """Music of a kind: chords of plucked and held tones that change about once a second."""
    count = int(seconds * RATE)
    samples, start = np.zeros(count), 0
    while start < count:
        length = int(draw.uniform(0.3, 1.5) * RATE)
        time = np.arange(min(length, count - start)) / RATE
        root = 110.0 * 2 ** (draw.integer(25) / 12)
        envelope = np.exp(-time * draw.uniform(0.2, 6.0)) * np.minimum(1.0, time * 200)
        for step in draw.choice(((0, 4, 7), (0, 3, 7), (0, 5, 9), (0, 4, 7, 10), (0,))):
            pitch = root * 2 ** (step / 12)
            brightness = draw.uniform(0.2, 0.9)
            tone = sum(brightness**k * np.sin(2 * np.pi * pitch * (k + 1) * time) for k in range(5) if pitch * (k + 1) < RATE / 2)
            samples[start : start + len(time)] += envelope * tone
        start += length
    return _peak(samples)


def babble(draw, clips, seconds, voices=6):
    """Several voices at once, cut from clips of int16 speech."""
    count = int(seconds * RATE)
    samples = np.zeros(count)
    for _ in range(voices):
        position = 0
        while position < count:
            piece = draw.choice(clips)[: count - position].astype(np.float64) / 32768
            samples[position : position + len(piece)] += piece / (np.sqrt(np.mean(piece**2)) + 1e-6)
            position += max(len(piece), RATE // 10)
    return _peak(samples)


def backgrounds(draw, speech, count, seconds=12.0):
    """`count` generated backgrounds, kinds in turn: (n,) float32 of peak 1. speech: int16 arrays for the babble."""
    kinds = (coloured_noise, hum, chords, coloured_noise, lambda d, s: babble(d, speech, s))
    return [kinds[index % len(kinds)](draw, seconds) for index in range(count)]


def room(draw):
    """The impulse response of a made-up room, (n,) float32: a direct sound of 1 and an exponentially decaying tail."""
    decay_s = draw.uniform(0.08, 0.6)
    count = int(decay_s * RATE)
    tail = draw.normal(count) * 10 ** (-3 * np.arange(count) / count)
    delay = int(draw.uniform(0.001, 0.012) * RATE)
    tail[:delay] = 0
    tail *= 10 ** (-draw.uniform(-3.0, 12.0) / 20) / np.sqrt(np.sum(tail**2) + 1e-12)
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate(samples, response):
    """The samples as heard in a room, as long as before, (n,) float32."""
    return fftconvolve(samples, response)[: len(samples)].astype(np.float32)


def _peak(samples):
    return (samples / (np.abs(samples).max() + 1e-9)).astype(np.float32)
