"""Audio is read in one place: any format, rate and channel count; bad files end in one line."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.data.audio import active_speech_level, audio_graph, find_recordings, read_audio, speech_span, through_opus, write_audio
from zoo.errors import InputError


def tone(seconds=1.0, rate=16000, frequency=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype("float32")


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        (".wav", "PCM_16"),
        (".wav", "PCM_24"),
        (".wav", "FLOAT"),
        (".wav", "PCM_U8"),
        (".flac", "PCM_16"),
        (".ogg", "VORBIS"),
        (".ogg", "OPUS"),
        (".mp3", None),
        (".aiff", "PCM_16"),
    ],
)
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_formats_rates_and_channels_come_out_as_mono_at_16_khz(tmp_path, suffix, subtype, rate):
    stereo = np.stack([tone(rate=rate), tone(rate=rate)], axis=1)
    soundfile.write(tmp_path / f"x{suffix}", stereo, rate, subtype=subtype)
    found = read_audio(tmp_path / f"x{suffix}")
    assert found.dtype == np.float32 and found.ndim == 1 and abs(len(found) - 16000) < 1300
    spectrum = np.abs(np.fft.rfft(found[2000:14000] * np.hanning(12000)))
    assert abs(spectrum.argmax() * 16000 / 12000 - 440) < 2
    assert 0.3 < np.abs(found[4000:12000]).max() < 0.6


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.stack([tone(), 0 * tone()], axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "x.wav"), tone() / 2, atol=1e-6)


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("x.aiff", lambda p: cut(p), "x.aiff is cut short"),
        ("x.wav", lambda p: cut(p), "x.wav is cut short: its header promises more than"),
        ("x.flac", lambda p: cut(p), "cannot be read as audio|is cut short"),
        ("x.wav", lambda p: p.write_bytes(b""), "x.wav is an empty file"),
        ("x.wav", lambda p: p.write_bytes(b"\xff\xd8\xff a picture"), "x.wav cannot be read as audio"),
        ("x.wav", lambda p: p.write_text("hello"), "x.wav cannot be read as audio"),
        ("x.wav", lambda p: soundfile.write(p, np.zeros(0), 16000), "x.wav holds no samples"),
        ("x.wav", lambda p: soundfile.write(p, np.array([0.0, np.nan]), 16000, subtype="FLOAT"), "x.wav holds NaN or infinite"),
        ("x.wav", lambda p: p.unlink(), "x.wav does not exist; expected an audio file"),
    ],
)
def test_bad_files_are_refused_in_words(tmp_path, name, make, words):
    soundfile.write(tmp_path / name, tone(), 16000)
    make(tmp_path / name)
    with pytest.raises(InputError, match=words) as error:
        read_audio(tmp_path / name)
    assert "\n" not in str(error.value)


def test_open_files_are_read_too():
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(), 16000, format="WAV")
    buffer.seek(0)
    assert len(read_audio(buffer, name="in memory")) == 16000


def test_writing_leaves_nothing_half_done(tmp_path):
    write_audio(tmp_path / "x.wav", tone())
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]
    np.testing.assert_allclose(read_audio(tmp_path / "x.wav"), tone(), atol=1e-4)


def test_opus_keeps_length_and_sound():
    coded = through_opus(tone(), 0.93)
    assert len(coded) == 16000 and np.corrcoef(coded[2000:14000], tone()[2000:14000])[0, 1] > 0.98


def test_recordings_are_found_or_missed_in_words(tmp_path):
    with pytest.raises(InputError, match="has no recordings; expected files that end in .wav"):
        find_recordings(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        find_recordings(tmp_path / "nowhere")
    write_audio(tmp_path / "b.wav", tone())
    write_audio(tmp_path / "a.WAV".lower(), tone())
    (tmp_path / "notes.txt").write_text("not audio")
    assert [p.name for p in find_recordings(tmp_path)] == ["a.wav", "b.wav"]


def speech_like(active_s=2.0, pause_s=2.0, level=0.1):
    """Noise in syllables of 4 Hz, then silence."""
    random, time = np.random.default_rng(0), np.arange(int(active_s * 16000)) / 16000
    syllables = random.normal(size=len(time)) * level * (0.3 + np.sin(2 * np.pi * 4 * time) ** 2)
    return np.concatenate([syllables, np.zeros(int(pause_s * 16000))])


def test_the_active_speech_level_leaves_pauses_out():
    level, activity = active_speech_level(speech_like())
    power = 10 * np.log10(np.mean(speech_like()[:32000] ** 2))
    assert abs(level - power) < 0.6 and 0.48 < activity < 0.6
    longer, less = active_speech_level(speech_like(pause_s=8.0))
    assert abs(longer - level) < 0.3 and less < 0.25


@settings(max_examples=10, deadline=None)
@given(gain_db=st.floats(-30, 10))
def test_the_active_speech_level_follows_the_gain(gain_db):
    level, _ = active_speech_level(speech_like())
    louder, _ = active_speech_level(speech_like() * 10 ** (gain_db / 20))
    assert abs(louder - level - gain_db) < 0.3


def test_silence_has_no_level():
    assert active_speech_level(np.zeros(16000)) == (-np.inf, 0.0)


def test_the_span_of_a_word_is_found():
    samples = np.concatenate([np.zeros(8000), tone(0.5), np.zeros(8000)])
    start, end = speech_span(samples)
    assert abs(start - 8000) <= 480 and abs(end - 16000) <= 480


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_the_graph_reader_equals_the_reader_where_tensorflow_io_loads(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    soundfile.write(path, tone(), 16000)
    try:
        found = audio_graph(path.read_bytes(), suffix).numpy()
    except InputError as error:
        pytest.skip(str(error))
    expected = read_audio(path)
    np.testing.assert_allclose(found[: len(expected)], expected, atol=2e-4 if suffix != ".ogg" else 1e-3)


@pytest.mark.parametrize(
    "spoil", [lambda x: x.__setitem__(slice(None, None, 200), 1 / 32768), lambda x: x.__setitem__(500, 2e-4)]
)
def test_what_is_nearly_silent_has_no_level(spoil):
    samples = np.zeros(16000)
    spoil(samples)
    assert active_speech_level(samples) == (-np.inf, 0.0)


def test_a_comment_in_a_wav_is_no_data(tmp_path):
    with soundfile.SoundFile(tmp_path / "x.wav", "w", 16000, 1) as file:
        file.comment = "metadata by me, data data"
        file.write(tone())
    assert len(read_audio(tmp_path / "x.wav")) == 16000


def test_the_span_of_a_word_is_found_in_noise():
    samples = np.concatenate([np.zeros(16000), tone(0.5), np.zeros(16000)]) + 0.02 * np.random.default_rng(0).normal(size=40000)
    start, end = speech_span(samples)
    assert abs(start - 16000) <= 480 and abs(end - 24000) <= 480
