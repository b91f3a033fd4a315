"""The encrypted file format: against cryptography's own AES-GCM and HKDF, and against what one can do to a file."""

from __future__ import annotations

import base64
import io
import resource
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.trainer.builders import CPU, a_config, a_final, a_session, ran
from tuning_trainer.cli import main
from tuning_trainer.config import SettingError
from tuning_trainer.encryption import stream
from tuning_trainer.encryption.key import Key, read_key
from tuning_trainer.encryption.stream import Damaged, Writer, reader
from tuning_trainer.engine.checkpoint import Checkpoints

KEY = Key(bytes(range(32)))
OTHER = Key(bytes(32))


def sealed(content: bytes, key: Key = KEY) -> bytes:
    file = io.BytesIO()
    with Writer(file, key) as writer:
        writer.write(content)
    return file.getvalue()


def a_key_file(directory: Path, content: bytes = bytes(range(32))) -> Path:
    path = directory / "key"
    path.write_bytes(content)
    return path


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PIECE", 16)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32, 33, 500])
def test_what_is_written_is_read(size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    assert reader(io.BytesIO(sealed(content)), KEY).read() == content
    assert size < 16 or content[:16] not in sealed(content)


def test_the_format_is_aes_gcm_under_a_key_by_hkdf() -> None:
    file = sealed(b"weights")
    header, body = file[: stream.HEADER], file[stream.HEADER :]
    salt = header[len(stream.MAGIC) : len(stream.MAGIC) + 16]
    derived = HKDF(hashes.SHA256(), 32, salt, b"tuning_trainer file").derive(KEY.secret)
    assert AESGCM(derived).decrypt(bytes(7) + (0).to_bytes(4, "big") + b"\x01", body, header) == b"weights"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 60)), max_size=8))
def test_it_can_be_read_from_anywhere(reads: list[tuple[int, int]]) -> None:
    content = bytes(range(100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "PIECE", 16)
        file, plain = reader(io.BytesIO(sealed(content)), KEY), io.BytesIO(content)
        for position, size in reads:
            file.seek(position)
            plain.seek(position)
            assert file.read(size) == plain.read(size)


PIECE = 16 + stream.TAG


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f, h: f[:-1], id="cut by a byte"),
        pytest.param(lambda f, h: f[: h + PIECE], id="cut after a piece"),
        pytest.param(lambda f, h: f[:h], id="cut after the header"),
        pytest.param(lambda f, h: f[:5], id="cut in the header"),
        pytest.param(lambda f, h: f + b"x", id="longer"),
        pytest.param(
            lambda f, h: f[:h] + f[h + PIECE : h + 2 * PIECE] + f[h : h + PIECE] + f[h + 2 * PIECE :], id="swap"
        ),
        pytest.param(lambda f, h: f[:h] + f[h + PIECE :], id="a piece left out"),
        pytest.param(lambda f, h: f[: h + 3] + bytes([f[h + 3] ^ 1]) + f[h + 4 :], id="a bit flipped"),
        pytest.param(lambda f, h: f"X{f[1:]!r}".encode(), id="another beginning"),
    ],
)
def test_what_was_changed_is_not_given_out(change: object) -> None:
    file = sealed(bytes(50))
    with pytest.raises(Damaged):
        reader(io.BytesIO(change(file, stream.HEADER)), KEY).read()  # type: ignore[operator]


def test_the_header_is_protected_too() -> None:
    file = bytearray(sealed(b"x"))
    file[len(stream.MAGIC)] ^= 1
    with pytest.raises((Damaged, SettingError)):
        reader(io.BytesIO(bytes(file)), KEY).read()


def test_a_wrong_key_is_told_from_a_damaged_file() -> None:
    with pytest.raises(SettingError, match="the key does not fit"):
        reader(io.BytesIO(sealed(b"x")), OTHER)


def test_two_files_of_the_same_content_have_nothing_in_common() -> None:
    one, two = sealed(bytes(64)), sealed(bytes(64))
    assert one[len(stream.MAGIC) :] != two[len(stream.MAGIC) :]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(bytes(range(32)), id="raw"),
        pytest.param(bytes(range(32)).hex().encode() + b"\n", id="hexadecimal"),
        pytest.param(base64.b64encode(bytes(range(32))) + b"\n", id="base64"),
        pytest.param(base64.urlsafe_b64encode(b"\xff" * 32), id="base64 for urls"),
    ],
)
def test_a_key_file_may_be_written_in_these_ways(tmp_path: Path, content: bytes) -> None:
    assert len(read_key(a_key_file(tmp_path, content)).secret) == 32
    assert "secret" not in repr(read_key(a_key_file(tmp_path, content)))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"password", "holds 8 bytes, which are no key"), (b"", "holds 0 bytes"), (None, "mount the Secret")],
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "none" if content is None else a_key_file(tmp_path, content)
    code, session = ran(a_config(key_file=str(path)))
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (42, "InvalidSetting")
    assert "encryption.key_file" in error.message
    assert words in error.message


def test_a_training_goes_on_from_an_encrypted_checkpoint_as_from_a_plain_one(tmp_path: Path) -> None:
    key = str(a_key_file(tmp_path))
    finals = []
    for name, parameters in (("plain", {}), ("sealed", {"key_file": key})):
        session = a_session(tmp_path / name, stop_after=9)
        assert ran(a_config(epochs=4, **parameters), session)[0] == 143
        code, resumed = ran(a_config(epochs=4, **parameters), a_session(tmp_path / name))
        assert code == 0
        finals.append(resumed.snapshot().final)
    assert finals[0] == finals[1]
    assert {p.suffix for p in (tmp_path / "sealed").iterdir()} == {".enc"}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param({}, "is encrypted; set encryption.key_file", id="no key"),
        pytest.param({"key_file": "other"}, "the key does not fit", id="another key"),
    ],
)
def test_an_encrypted_checkpoint_needs_its_key(tmp_path: Path, parameters: dict[str, str], words: str) -> None:
    key = a_key_file(tmp_path)
    (tmp_path / "other").write_bytes(b"o" * 32)
    ran(a_config(key_file=str(key)), a_session(tmp_path / "trial"))
    given = {name: str(tmp_path / value) for name, value in parameters.items()}
    code, session = ran(a_config(**given), a_session(tmp_path / "trial"))
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (42, "InvalidSetting")
    assert words in error.message
    assert "checkpoint-0" in error.message


def test_a_damaged_encrypted_checkpoint_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, directory = str(a_key_file(tmp_path)), tmp_path / "trial"
    config = a_config({"checkpoint": {"interval": 0.0}}, key_file=key, epochs=3)
    whole = ran(config, a_session(directory))[1].snapshot()
    newest = sorted(directory.glob("checkpoint-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-20])
    code, session = ran(config, a_session(directory))
    assert code == 0
    assert session.snapshot().final == whole.final
    assert "it was changed or cut off" in capsys.readouterr().err


def test_a_full_disk_leaves_the_old_encrypted_checkpoint_and_no_litter(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, identity={"a": 1}, keep=2, key=KEY)
    store.save(1, {"x": torch.zeros(10)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r".+"):
            store.save(2, {"x": torch.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000000000001.pt.enc"]
    assert store.load(CPU) is not None


def test_a_final_run_encrypts_what_holds_weights_and_decrypt_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, directory = a_key_file(tmp_path), tmp_path / "trial"
    settings = {"export": {"formats": ["safetensors"]}}
    code, session = ran(a_config(settings, key_file=str(key)), a_final(directory))
    files = session.snapshot().artifacts
    assert code == 0
    assert {name for name, file in files.items() if file.endswith(".enc")} == {
        *("checkpoint", "weights", "config", "safetensors")
    }
    assert str(key) not in (directory / files["card"]).read_text()
    file = directory / files["weights"]
    assert main(["--decrypt", str(file), "--key-file", str(key)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(directory / "model.pt")
    assert "3.weight" in torch.load(directory / "model.pt", weights_only=True)


@pytest.mark.parametrize(
    ("key", "file", "words"),
    [
        pytest.param(b"o" * 32, "model.pt.enc", "the key does not fit", id="another key"),
        pytest.param(None, "model.pt.enc", "--decrypt needs --key-file", id="no key"),
        pytest.param(bytes(range(32)), "model_card.md", "must end in .enc", id="not encrypted"),
        pytest.param(bytes(range(32)), "absent.enc", "No such file", id="absent"),
        pytest.param(bytes(range(32)), "damaged.enc", "it was changed or cut off", id="damaged"),
    ],
)
def test_decrypt_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: bytes | None, file: str, words: str
) -> None:
    (tmp_path / "model.pt.enc").write_bytes(sealed(b"x"))
    (tmp_path / "damaged.enc").write_bytes(sealed(b"x")[:-1] + b"?")
    (tmp_path / "model_card.md").write_text("x")
    given = [] if key is None else ["--key-file", str(a_key_file(tmp_path, key))]
    assert main(["--decrypt", str(tmp_path / file), *given]) == 42
    assert words in capsys.readouterr().err
