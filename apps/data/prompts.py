"""Telephone prompts that Debian distributes, 2.5 h by five professional speakers in five languages: `python -m apps.data.prompts` fetches them,
and the dialogue of `apps.data.dialogue`.

apt checks each package against Debian's signatures; the packages stay as they are in the cache, and are read from there.
"""

import gzip
import io
import shutil
import subprocess
import sys
import tarfile

import numpy as np
from tqdm import tqdm

from apps.data.audio import SILENCE, read_audio
from apps.data.sources import cache_folder
from apps.data.speech import Clip, to_int16
from zoo.errors import InputError

LICENCE = "CC BY-SA 3.0, ru: CC BY 3.0, menardi: GPL-2"
# package of the recordings, speaker, package of the transcripts and the file in it
PACKAGES = (
    ("asterisk-core-sounds-en-wav", "Allison", "asterisk-core-sounds-en", "core-sounds-en.txt.gz"),
    ("asterisk-core-sounds-es-wav", "Allison", "asterisk-core-sounds-es", "core-sounds-es.txt.gz"),
    ("asterisk-core-sounds-fr-wav", "June", "asterisk-core-sounds-fr", "core-sounds-fr.txt.gz"),
    ("asterisk-core-sounds-it-wav", "Carlo", "asterisk-core-sounds-it", "core-sounds-it.txt.gz"),
    ("asterisk-core-sounds-ru-wav", "Ivrvoice", "asterisk-core-sounds-ru", "core-sounds-ru.txt.gz"),
    ("asterisk-prompt-it-menardi-wav", "Menardi", None, None),
)
SHORTEST = 5000  # bytes of a file, 0.3 s; a few are empty
SPLITS = {"Ivrvoice": "val", "Menardi": "test"}  # the others train


def fetched():
    """Whether all packages are in the cache."""
    return all(map(package_file, package_names()))


def package_names():
    """The packages of the prompts and their transcripts."""
    return [name for row in PACKAGES for name in (row[0], row[2]) if name]


def fetch(names):
    """Downloads those packages that are not in the cache, with apt."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise InputError(
            "the prompts come as Debian packages, and apt-get or dpkg-deb is not here; run this on Debian or Ubuntu."
        )
    folder = cache_folder() / "debian"
    folder.mkdir(parents=True, exist_ok=True)
    for name in tqdm([name for name in names if not package_file(name)], desc="fetching packages"):
        done = subprocess.run(["apt-get", "download", name], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            reason = " ".join(done.stderr.split())[:160]
            raise InputError(
                f"apt-get cannot download {name} ({reason}); run `apt-get update`, or put the package into {folder}."
            )


def read_prompts():
    """The prompts as clips at 16 kHz; speakers known, texts where Debian has them."""
    clips = []
    for package, speaker, texts_package, texts_file in tqdm(PACKAGES, desc="reading prompts", leave=False):
        archive = open_package(package)
        texts = _texts(texts_package, texts_file) if texts_package else {}
        for member in sorted((m for m in archive if m.name.endswith(".wav")), key=lambda m: m.name):
            name = member.name.split("/sounds/", 1)[1].split("/", 1)[1]
            if not member.isfile() or name.startswith("silence/") or member.size < SHORTEST:
                continue
            samples = read_audio(io.BytesIO(archive.extractfile(member).read()), name=member.name)
            if np.abs(samples).max() >= SILENCE:
                text = texts.get(name.removesuffix(".wav"), "")
                clips.append(
                    Clip(to_int16(samples), f"{package}/{name}", "debian_prompts", speaker, text, SPLITS.get(speaker, "train"))
                )
    return clips


def package_file(name):
    """The path of a package in the cache, or None."""
    return next(iter(sorted((cache_folder() / "debian").glob(f"{name}_*.deb"))), None)


def open_package(name):
    """A package's files, read without unpacking."""
    path = package_file(name)
    if path is None:
        raise InputError(f"the package {name} is not in the cache; run `python -m apps.data.prompts`.")
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True)
    if done.returncode:
        raise InputError(f"{path} is no whole package; remove it and run `python -m apps.data.prompts`.")
    return tarfile.open(fileobj=io.BytesIO(done.stdout))


def _texts(package, file):
    archive = open_package(package)
    member = next((m for m in archive if m.name.endswith(file) and m.isfile()), None)
    if member is None:
        return {}
    lines = gzip.decompress(archive.extractfile(member).read()).decode("utf8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith(";"))


if __name__ == "__main__":
    from apps.data import dialogue

    try:
        fetch([*package_names(), dialogue.PACKAGE])
        found = {"prompts": read_prompts(), "lines of dialogue": dialogue.read_dialogue()}
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for kind, clips in found.items():
        print(f"{len(clips)} {kind}, {sum(clip.seconds for clip in clips) / 3600:.2f} h, in {cache_folder() / 'debian'}")
