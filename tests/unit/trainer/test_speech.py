"""Recordings: every sample format is the same sound, spectrograms are those of transformers, and models hear words."""

from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from tests.samples.spoken import speakers, write_digits
from tests.unit.trainer.builders import a_config, ran, the_data
from tuning_trainer.config import SettingError
from tuning_trainer.config.folders import Speech
from tuning_trainer.data import speech
from tuning_trainer.data.folders import UnreadableError

RATE = 8000
TONE = np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE) * 0.5


def write_24_bit(path: Path, sound: Any, rate: int = RATE) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<i", round(float(v) * (2**23 - 1)))[:3] for v in sound))


@pytest.mark.parametrize(
    ("kind", "accuracy"), [("u1", 0.02), ("i2", 1e-4), ("24 bit", 1e-5), ("i4", 1e-6), ("f4", 1e-6), ("f8", 1e-6)]
)
def test_every_sample_format_is_the_same_sound(tmp_path: Path, kind: str, accuracy: float) -> None:
    path = tmp_path / "tone.wav"
    if kind == "24 bit":
        write_24_bit(path, TONE)
    elif kind == "u1":
        wavfile.write(path, RATE, ((TONE + 1) * 128).astype(np.uint8))
    elif kind.startswith("i"):
        wavfile.write(path, RATE, (TONE * np.iinfo(kind).max).astype(kind))
    else:
        wavfile.write(path, RATE, TONE.astype(kind))
    assert np.allclose(speech.read_wav(path, RATE), TONE, atol=accuracy)


def test_channels_are_averaged_and_other_rates_converted(tmp_path: Path) -> None:
    at_48k = np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000)
    wavfile.write(tmp_path / "stereo.wav", 48_000, np.stack([at_48k, at_48k * 0], axis=1).astype(np.float32))
    sound = speech.read_wav(tmp_path / "stereo.wav", RATE)
    assert len(sound) == RATE
    assert np.allclose(sound[200:-200], TONE[200:-200], atol=2e-3)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(7, [0, 1, 2, 3, 4, 0, 0]), (4, [0, 1, 2, 3]), (2, [1, 2])],
    ids=["filled up", "as it is", "cut"],
)
def test_recordings_are_brought_to_one_length(length: int, expected: list[int]) -> None:
    sound = np.array([0, 1, 2, 3, 4][: 5 if length == 7 else 4], dtype=np.float32)
    found = speech.fit(sound, length).tolist()
    assert len(found) == length
    assert found == ([0, 0, 1, 2, 3, 4, 0] if length == 7 else expected)


def test_spectrograms_are_those_of_transformers() -> None:
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    settings = Speech(path="x", mels=40)
    bands = mel_filter_bank(257, 40, speech.LOWEST, 8000, 16_000, mel_scale="htk")
    theirs = spectrogram(
        sound,
        window_function(400, "hann"),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        pad_mode="constant",
        mel_filters=bands,
    )
    ours = speech.spectrograms([sound], settings)[0, 0]
    assert np.allclose(speech.mel_bands(40, 512, 16_000).numpy(), bands, atol=1e-5)
    assert ours.shape == (101, 40)
    assert np.allclose(ours, np.log(theirs.T + speech.FLOOR), atol=1e-3)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("spoken"), speakers(32), words=("one", "six"))


@pytest.mark.parametrize(
    "model",
    [
        pytest.param({"name": "cnn", "width": 4, "layers": 2}, id="cnn"),
        pytest.param({"name": "rnn", "cell": "gru", "width": 16, "bidirectional": True}, id="rnn"),
        pytest.param({"name": "transformer", "width": 16, "layers": 1, "heads": 2}, id="transformer"),
    ],
)
def test_models_tell_two_words_apart(words: Path, model: dict[str, Any]) -> None:
    data = {
        "name": "speech",
        "path": str(words),
        "mels": 16,
        "hop": 20.0,
        "seconds": 0.7,
        "split": {"validation": 0.25, "test": 0.1},
    }
    config = a_config(
        {"data": data, "model": model, "augment": {"time_masks": 1}, "schedule": "cosine"},
        epochs=15,
        lr=0.01,
        batch_size=8,
    )
    code, session = ran(config)
    assert code == 0
    assert session.snapshot().final["val_accuracy"] >= 0.85


def test_statistics_come_from_the_training_part_only(words: Path) -> None:
    prepared = the_data(a_config({"data": {"name": "speech", "path": str(words), "mels": 8, "hop": 20.0}}))
    assert prepared.layout.shape == (1, 51, 8)
    assert prepared.normalize is None
    bands = prepared.train.inputs.reshape(-1, 8)
    assert torch.allclose(bands.mean(0), torch.zeros(8), atol=1e-3)
    assert torch.allclose(bands.std(0), torch.ones(8), atol=1e-2)
    assert prepared.description["classes"] == ["one", "six"]
    assert prepared.description["encoding"]["mels"] == 8


def test_a_test_folder_is_the_test_part(words: Path, tmp_path: Path) -> None:
    write_digits(tmp_path, speakers(3, seed=9), words=("one", "six"))
    data = {"name": "speech", "path": str(words), "test_path": str(tmp_path), "mels": 8, "hop": 20.0}
    prepared = the_data(a_config({"data": data}), final=True)
    assert len(prepared.train) == 64
    assert prepared.test().inputs.shape == (6, 1, 51, 8)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>404</html>", id="a web page"),
        pytest.param(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0", id="cut in its header"),
        pytest.param(
            b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0",
            id="no sound",
        ),
        pytest.param(b"RIFF" + bytes(range(256)) * 4, id="noise"),
    ],
)
def test_what_is_no_recording_is_unreadable(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(body)
    with pytest.raises(UnreadableError):
        speech.read_wav(tmp_path / "x.wav", RATE)


def test_values_that_are_not_finite_are_unreadable(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "x.wav", RATE, np.array([0.1, np.nan], dtype=np.float32))
    with pytest.raises(UnreadableError, match="not finite"):
        speech.read_wav(tmp_path / "x.wav", RATE)


def test_a_window_longer_than_the_recordings_is_refused(words: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.seconds is 0\.01, shorter than data\.window"):
        speech.load(Speech(path=str(words), seconds=0.01))
