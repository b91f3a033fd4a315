"""Speech from a synthesiser, eSpeak NG, which a wheel brings along: no network, no model, the same on every machine."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 22_050
VOICES = ("en", "en-us", "en-gb-scotland", "en-us-nyc", "en-gb-x-rp", "en-029")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
_SYNCHRONOUS, _SPEED, _PITCH, _UTF8 = 2, 1, 3, 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Speaker:
    """A voice, with words a minute and a pitch from 0 to 99."""

    voice: str
    speed: int
    pitch: int


def speakers(count: int, *, seed: int = 0) -> list[Speaker]:
    """Different speakers: accent, timbre, speed and pitch by chance."""
    random = np.random.default_rng(seed)
    return [
        Speaker(
            f"{random.choice(VOICES)}+{random.choice(VARIANTS)}",
            int(random.integers(120, 230)),
            int(random.integers(90)),
        )
        for _ in range(count)
    ]


@contextmanager
def synthesiser() -> Iterator[Any]:
    """A function (text, speaker) -> int16 samples at `RATE`."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 500, espeakng_loader.get_data_path().encode(), 0)
    assert rate == RATE
    heard: list[npt.NDArray[np.int16]] = []

    @_CALLBACK
    def hear(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(hear)

    def say(text: str, speaker: Speaker) -> npt.NDArray[np.int16]:
        heard.clear()
        assert library.espeak_SetVoiceByName(speaker.voice.encode()) == 0, speaker.voice
        library.espeak_SetParameter(_SPEED, speaker.speed, 0)
        library.espeak_SetParameter(_PITCH, speaker.pitch, 0)
        spoken = text.encode() + b"\0"
        assert library.espeak_Synth(spoken, len(spoken), 0, 1, 0, _UTF8, None, None) == 0
        return np.concatenate(heard)

    try:
        yield say
    finally:
        library.espeak_Terminate()


def write_digits(root: Path, who: Sequence[Speaker], *, words: Sequence[str] = DIGITS, noise: float = 0.01) -> Path:
    """A folder for each word with a recording by each speaker: louder or softer, earlier or later, with some noise."""
    random = np.random.default_rng(len(who))
    with synthesiser() as say:
        for word in words:
            folder = root / word
            folder.mkdir(parents=True)
            for number, speaker in enumerate(who):
                sound = say(word, speaker) / 32768 * random.uniform(0.3, 1.0)
                sound = np.pad(sound, (int(random.integers(2000)), int(random.integers(2000))))
                sound = np.clip(sound + random.normal(0, noise, len(sound)), -1, 1)
                wavfile.write(folder / f"{number:03d}.wav", RATE, (sound * 32767).astype(np.int16))
    return root
