"""Recordings in a folder for each class, as log-mel spectrograms. scipy reads the files; it is imported only here."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.folders import Speech
from tuning_trainer.data import folders
from tuning_trainer.data.source import Encoding, Normalization, Rows

LOWEST = 20.0
"""Frequency at which the first mel band begins."""
FLOOR = 1e-6
"""Power that is added before the logarithm; silence is -13.8."""
AT_ONCE = 256
"""Recordings whose spectrograms are computed together."""

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spectrograms:
    """Log-mel spectrograms [N, 1, T, F]."""

    values: npt.NDArray[np.float32]
    targets: npt.NDArray[Any]
    classes: tuple[str, ...] | None
    describe: dict[str, Any]
    """How they were made."""

    def learn(self, rows: Rows) -> Encoding:
        """Standardises each mel band by its mean and deviation in the training rows."""
        bands = self.values[rows].reshape(-1, self.values.shape[-1]).astype(np.float64)
        mean, deviation = bands.mean(axis=0), np.maximum(bands.std(axis=0), 1e-3)
        return Encoding(
            encode=lambda wanted: self.values[wanted],
            normalization=Normalization(mean=mean.astype(np.float32), scale=(1 / deviation).astype(np.float32)),
            description={
                "kind": "spectrograms",
                **self.describe,
                "mean": mean.tolist(),
                "deviation": deviation.tolist(),
            },
        )


def load(
    data: Speech,
) -> tuple[Spectrograms, Callable[[Encoding], tuple[npt.NDArray[Any], npt.NDArray[Any]]] | None]:
    """The recordings, and how to get those of the test folder, if there is one. Raises `SettingError` for what is
    missing or damaged.
    """
    if data.hop > data.seconds * 1000 or data.window > data.seconds * 1000:
        raise SettingError(
            f"data.seconds is {data.seconds}, shorter than data.window {data.window} ms or data.hop {data.hop} ms"
        )
    values, targets, classes = _load(data, data.path, setting="data.path", classes=None)

    def test(encoding: Encoding) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        assert data.test_path is not None
        return _load(data, data.test_path, setting="data.test_path", classes=classes)[:2]

    made = data.model_dump(include={"sample_rate", "seconds", "mels", "window", "hop"})
    return Spectrograms(values, targets, classes, made), test if data.test_path is not None else None


def _load(
    data: Speech, path: str, *, setting: str, classes: tuple[str, ...] | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], tuple[str, ...]]:
    files = folders.find(path, (".wav",), setting=setting, classes=classes)
    length = round(data.seconds * data.sample_rate)

    def reader(path: Path) -> Waveform:
        return fit(read_wav(path, data.sample_rate), length)

    waves, targets = folders.read(files, reader, damaged=data.damaged, setting=setting)
    return spectrograms(waves, data), targets, files.classes


def read_wav(path: Path, sample_rate: int) -> Waveform:
    """One recording from -1 to 1, as one channel, at `sample_rate`. Raises `UnreadableError`."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that are no sound, such as a title
            rate, samples = wavfile.read(path)
    except Exception as error:  # scipy reads headers unchecked: damage comes as anything from ValueError to MemoryError
        raise folders.UnreadableError(f"{type(error).__name__}: {error}") from None
    if not samples.size or rate <= 0:
        raise folders.UnreadableError("it holds no sound")
    if samples.dtype == np.uint8:
        sound = samples.astype(np.float32) / 128 - 1
    elif samples.dtype.kind == "i":
        sound = samples.astype(np.float32) / float(2 ** (8 * samples.dtype.itemsize - 1))
    else:
        sound = samples.astype(np.float32)
    if not np.isfinite(sound).all():
        raise folders.UnreadableError("it holds values that are not finite")
    if sound.ndim == 2:
        sound = sound.mean(axis=1)
    if rate != sample_rate:
        from scipy.signal import resample_poly

        common = math.gcd(rate, sample_rate)
        sound = np.asarray(resample_poly(sound, sample_rate // common, rate // common), dtype=np.float32)
    return np.asarray(sound, dtype=np.float32)


def fit(sound: Waveform, length: int) -> Waveform:
    """Silence added or sound cut away, at both ends alike, to `length` samples."""
    missing = length - len(sound)
    if missing >= 0:
        return np.pad(sound, (missing // 2, missing - missing // 2))
    return sound[-missing // 2 :][:length]


def spectrograms(waves: Sequence[Waveform], data: Speech) -> npt.NDArray[np.float32]:
    """[N, 1, frames, mels]: the logarithm of the power in each mel band of each frame."""
    window, hop = (max(1, round(ms * data.sample_rate / 1000)) for ms in (data.window, data.hop))
    size = 2 ** math.ceil(math.log2(window))
    bands = mel_bands(data.mels, size, data.sample_rate)
    shape = torch.hann_window(window)
    parts = []
    for start in range(0, len(waves), AT_ONCE):
        sounds = torch.from_numpy(np.stack(waves[start : start + AT_ONCE]))
        found = torch.stft(
            sounds, size, hop, window, window=shape, center=True, pad_mode="constant", return_complex=True
        )
        power = found.abs().square().transpose(1, 2) @ bands
        parts.append((power + FLOOR).log().unsqueeze(1))
    return torch.cat(parts).numpy()


def mel_bands(mels: int, size: int, sample_rate: int) -> Tensor:
    """Triangular bands [size / 2 + 1, mels], evenly spaced on the mel scale 2595 log10(1 + f / 700)."""
    scale = torch.linspace(_mel(LOWEST), _mel(sample_rate / 2), mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (scale / 2595) - 1)
    frequencies = torch.linspace(0, sample_rate / 2, size // 2 + 1, dtype=torch.float64)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)
