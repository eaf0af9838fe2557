"""What stands between a voice and a microphone: rooms, noise, music, babble, equalisers, codecs. All from a counter-based seed.

Generated ones always; where the set noise_music_ir is within reach, recorded noise and measured rooms too.
"""

import re
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from apps.data.audio import active_speech_level
from apps.data.sources import available
from apps.data.speech import read_set

RATE = 16000
SNR_DB = (-5.0, 28.0)
ECHOES = 12  # reflections of a made-up room; more take long and are faint


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


def babble(draw, clips, seconds):
    """Two to eight voices at once, cut from clips of int16 speech."""
    count, voices = int(seconds * RATE), 2 + draw.integer(7)
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

    def voices(draw, seconds):
        return babble(draw, speech, seconds)

    kinds = (coloured_noise, voices, chords, voices, hum)
    return [kinds[index % len(kinds)](draw, seconds) for index in range(count)]


def room(draw):
    """The impulse response of a made-up room from its direct sound on, (n,) float32, which is 1.

    A shoebox by the image source method (Allen & Berkley 1979), from a furnished closet to a bare hall.
    """
    import pyroomacoustics

    size = [draw.uniform(2.0, 9.0), draw.uniform(2.0, 6.0), draw.uniform(2.1, 3.5)]
    places = [[draw.uniform(0.2, side - 0.2) for side in size] for _ in range(2)]
    long, wide, high = size
    # no room dies away faster than its walls can absorb (Sabine 1922)
    least_s = 0.1611 * long * wide * high / (0.95 * 2 * (long * wide + wide * high + high * long))
    absorption, order = pyroomacoustics.inverse_sabine(max(draw.uniform(0.12, 0.7), least_s), size)
    box = pyroomacoustics.ShoeBox(
        size, fs=RATE, materials=pyroomacoustics.Material(min(absorption, 0.95)), max_order=min(order, ECHOES)
    )
    box.add_source(places[0])
    box.add_microphone(places[1])
    box.compute_rir()
    return direct_first(box.rir[0][0])


def direct_first(response):
    """An impulse response from its loudest sample on, scaled to 1 there, at most a second long, (n,) float32."""
    response = np.asarray(response, np.float64)
    start = int(np.abs(response).argmax())
    return (response[start : start + RATE] / response[start]).astype(np.float32)


def reverberate(samples, response):
    """The samples as heard in a room, as long as before, (n,) float32."""
    return fftconvolve(samples, response)[: len(samples)].astype(np.float32)


def equalise(draw, samples):
    """A tilt and a bump over the spectrum, as a small loudspeaker or microphone has."""
    spectrum = np.fft.rfft(samples)
    frequency = np.linspace(0.0, 1.0, len(spectrum))
    tilt, bump, centre, width = draw.uniform(-9, 9), draw.uniform(-9, 9), draw.uniform(0.05, 0.8), draw.uniform(0.05, 0.3)
    gain_db = tilt * (frequency - 0.3) + bump * np.exp(-(((frequency - centre) / width) ** 2))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples)).astype(np.float32)


def code(draw, samples):
    """What a codec leaves: a band limit, logarithmic quantisation to 5 to 8 bits (ITU-T G.711's law), or both."""
    scale = np.abs(samples).max() + 1e-9
    if draw.chance(0.6):
        spectrum = np.fft.rfft(samples)
        spectrum[int(draw.uniform(0.42, 0.95) * len(spectrum)) :] = 0
        samples = np.fft.irfft(spectrum, len(samples))
    if draw.chance(0.5):
        levels = 2 ** (4 + draw.integer(4))
        compressed = np.sign(samples) * np.log1p(255 * np.minimum(np.abs(samples) / scale, 1.0)) / np.log(256)
        quantised = np.round(compressed * levels) / levels
        samples = np.sign(quantised) * (256 ** np.abs(quantised) - 1) / 255 * scale
    return np.asarray(samples, np.float32)


def levelled(clip):
    """int16 samples as float32 at an active speech level of 0 dB."""
    samples = clip.astype(np.float32) / 32768
    level, _ = active_speech_level(samples)
    return samples * np.float32(10 ** (-max(level, -60.0) / 20))


def respeak(draw, samples, slowest=0.8, fastest=1.22):
    """Faster or slower (pitch and all), a little louder or softer, with soft edges."""
    factor, gain = draw.uniform(slowest, fastest), 10 ** (draw.uniform(-4.0, 4.0) / 20)
    positions = np.arange(0, len(samples) - 1, factor)
    changed = np.interp(positions, np.arange(len(samples)), samples).astype(np.float32) * np.float32(gain)
    edge = min(80, len(changed) // 2)
    if edge:
        ramp = np.linspace(0, 1, edge, dtype=np.float32)
        changed[:edge] *= ramp
        changed[-edge:] *= ramp[::-1]
    return changed


def disturb(draw, speech, rooms, noises, snr_db=SNR_DB):
    """Speech of level 0 dB as a microphone in a room hears it: some of reverberation, equaliser, noise and codec."""
    if draw.chance(0.5):
        speech = reverberate(speech, draw.choice(rooms))
    if draw.chance(0.4):
        speech = equalise(draw, speech)
    for chance in (0.85, 0.15):
        if not draw.chance(chance):
            continue
        noise = draw.choice(noises)
        offset = draw.integer(len(noise))
        repeats = -(-(offset + len(speech)) // len(noise))
        noise = np.tile(noise, repeats)[offset : offset + len(speech)]
        power = np.sqrt(np.mean(noise**2)) + 1e-9
        speech = speech + noise * np.float32(10 ** (-draw.uniform(*snr_db) / 20) / power)
    if draw.chance(0.5):
        speech = speech + draw.normal(len(speech)) * np.float32(10 ** (-draw.uniform(30.0, 60.0) / 20))
    if draw.chance(0.3):
        speech = code(draw, speech)
    return speech


def clip_peaks(draw, samples):
    """Cuts the loudest 0.1 to 3% of samples off, as an overdriven microphone does."""
    most = np.quantile(np.abs(samples), draw.uniform(0.97, 0.999)) + 1e-6
    return np.clip(samples, -most, most)


def recorded():
    """({split: backgrounds}, {split: rooms}) of people's recordings; empty lists where the set is not within reach.

    Recordings of one series (their names differ in a number only) stand in one split: tests hear noise and music that no training heard.
    """
    noises, rooms = ({split: [] for split in ("train", "val", "test")} for _ in range(2))
    if available("noise_music_ir"):
        places = ("train", "train", "val", "test", "test")
        series = {True: {}, False: {}}
        for clip in sorted(read_set("noise_music_ir"), key=lambda clip: clip.name):
            kind = series["impulse_responses/" in clip.name]
            kind.setdefault(re.sub(r"[\W_]*(position)?[\W_]*\d+\w*$", "", Path(clip.name).stem.lower()), []).append(
                clip.samples.astype(np.float32) / 32768
            )
        for index, members in enumerate(series[False].values()):
            noises[places[index % 5]] += [_peak(samples) for samples in members]
        for index, members in enumerate(series[True].values()):
            rooms[places[index % 5]] += [direct_first(samples) for samples in members]
    return noises, rooms


def _peak(samples):
    return (samples / (np.abs(samples).max() + 1e-9)).astype(np.float32)
