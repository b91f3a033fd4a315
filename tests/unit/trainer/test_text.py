"""Texts with labels: files in, tokens out, nothing learned from what is held out, and everything odd is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tests.unit.trainer.builders import a_config, a_session, ran, the_data
from tests.unit.trainer.texts import Row, as_csv, as_folders, as_jsonl, documentation, labelled
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config.text import BpeVocabulary, BytesVocabulary, TokenizerVocabulary
from tuning_trainer.data import vocabulary
from tuning_trainer.tasks.classification import Classification

ROWS: list[Row] = [(f"{word} {number}", label) for number in range(10) for word, label in (("aé", "x"), ("b", "y"))]
WRITERS: dict[str, Callable[[Path, list[Row]], Path]] = {"a.csv": as_csv, "a.jsonl": as_jsonl, "a": as_folders}


def config(path: Path, /, model: dict[str, Any] | str = "linear", **data: Any) -> TrainerConfig:
    return a_config({"data": {"name": "text", "path": str(path), **data}, "model": model})


@pytest.mark.parametrize("name", WRITERS)
def test_all_formats_give_the_same_samples(name: str, tmp_path: Path) -> None:
    data = the_data(config(WRITERS[name](tmp_path / name, ROWS)))
    assert isinstance(data.task, Classification)
    assert data.task.classes == ("x", "y")
    assert (len(data.train), len(data.validation or ()), len(data.test())) == (12, 4, 4)
    assert data.layout.vocabulary == 257
    samples = torch.cat([part.inputs for part in (data.train, data.validation, data.test()) if part is not None])
    found = sorted(bytes(token - 1 for token in row if token).decode() for row in samples.tolist())
    assert found == sorted(text for text, _ in ROWS)
    assert samples.shape[1] == max(len(text.encode()) for text, _ in ROWS)


def test_classes_are_stratified_and_numbers_are_in_order(tmp_path: Path) -> None:
    rows = [(f"text {i}", str(i % 11)) for i in range(110)]
    data = the_data(config(as_csv(tmp_path / "a.csv", rows)))
    assert isinstance(data.task, Classification)
    assert data.task.classes == tuple(map(str, range(11)))
    assert set(data.task.counts) == {6}


def test_each_part_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    own = {
        "validation_path": str(as_csv(tmp_path / "v.csv", [("validation", "y")])),
        "test_path": str(as_csv(tmp_path / "t.csv", [("a long test", "x"), ("tested", "y")])),
    }
    path = as_csv(tmp_path / "a.csv", ROWS)
    data = the_data(config(path, **own))
    assert (len(data.train), len(data.validation or ()), len(data.test())) == (20, 1, 2)
    assert data.test().targets.tolist() == [0, 1]
    assert data.test().inputs.shape[1] == 5  # as long as the longest of the training part
    assert len(the_data(config(path, **own), final=True).train) == 21
    only_test = the_data(config(path, test_path=own["test_path"], split={"validation": 0.5}))
    assert (len(only_test.train), len(only_test.validation or ()), len(only_test.test())) == (10, 10, 2)


def test_the_test_file_is_read_only_when_the_test_part_is_asked_for(tmp_path: Path) -> None:
    data = the_data(config(as_csv(tmp_path / "a.csv", ROWS), test_path=str(tmp_path / "absent.csv")))
    with pytest.raises(SettingError, match=r"data.test_path is .*absent.csv', where there is nothing"):
        data.test()


def test_the_vocabulary_is_learned_from_the_training_part_only(tmp_path: Path) -> None:
    held_out = as_csv(tmp_path / "v.csv", [("zyxw " * 40, "licence")] * 9)
    path = as_csv(tmp_path / "a.csv", labelled(30))
    bpe: dict[str, Any] = {"vocabulary": {"name": "bpe", "size": 400}, "split": {"test": 0.0}}
    alone = the_data(config(path, test_path=str(held_out), **bpe, length=2000))
    described = alone.description["encoding"]
    assert "zyxw" not in described["vocabulary"]["tokenizer"]
    assert alone.test().inputs.shape[1] == described["length"]


def test_byte_pairs_are_whole_deterministic_and_their_lengths_are_those_of_the_text() -> None:
    text = documentation()[:40_000] + "é 😀\n"
    words = vocabulary.learn(BpeVocabulary(size=600), [text])
    tokens = words.stream(text)
    assert words.size == 600
    assert tokens.min() >= 1 and tokens.max() < 600
    assert len(tokens) < 0.6 * len(text)
    assert words.lengths[tokens].sum() == len(text.encode())
    unseen = "中文 ß\t"
    tokenizer = Tokenizer.from_str(words.description["tokenizer"])
    assert tokenizer.decode((words.stream(unseen) - 1).tolist()) == unseen
    code = (
        "import sys; from tuning_trainer.data import vocabulary as v; from tuning_trainer.config.text import *\n"
        "print(v.learn(BpeVocabulary(size=600), [sys.stdin.buffer.read().decode()]).description['tokenizer'])"
    )
    again = subprocess.run([sys.executable, "-c", code], input=text.encode(), capture_output=True, check=True)
    assert again.stdout.decode().strip() == words.description["tokenizer"]


def test_bytes_are_their_own_vocabulary() -> None:
    words = vocabulary.learn(BytesVocabulary(), [])
    assert words.stream("aé").tolist() == [98, 196, 170]
    assert words.encode(["aé", "b"], 2)[0].tolist() == [98, 196]
    assert vocabulary.padded(words.encode(["aé", "b"], 2), 3).tolist() == [[98, 196, 0], [99, 0, 0]]


def a_tokenizer(path: Path) -> Path:
    names = ["[UNK]", "[CLS]", "[SEP]", "one", "two", "three"]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(names[:3])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(path))
    return path


@pytest.mark.parametrize("whole_directory", [False, True], ids=["a file", "a directory"])
def test_a_ready_tokenizer_keeps_its_marks_when_it_cuts(whole_directory: bool, tmp_path: Path) -> None:
    path = a_tokenizer(tmp_path / "tokenizer.json")
    words = vocabulary.learn(TokenizerVocabulary(file=str(tmp_path if whole_directory else path)), ["one two"])
    assert words.size == 7
    assert [row.tolist() for row in words.encode(["one two three", "four"], 4)] == [[2, 4, 5, 3], [2, 1, 3]]
    assert words.stream("one four").tolist() == [4, 1]
    assert words.lengths[4] == 3.5  # 7 bytes, 2 tokens: the mean, as such a tokenizer does not tell
    assert words.lengths[2] == 0


def test_a_tokenizer_of_bytes_tells_the_length_of_each_token(tmp_path: Path) -> None:
    learned = vocabulary.learn(BpeVocabulary(size=300), [documentation()[:5000]])
    (tmp_path / "tokenizer.json").write_text(learned.description["tokenizer"])
    ready = vocabulary.learn(TokenizerVocabulary(file=str(tmp_path)), [])
    assert np.array_equal(ready.lengths, learned.lengths)


def written(path: Path, body: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


BAD = b'"caf\xe9",x\n'
GOOD = b'"a, b\nc",x\nd,y\n' * 5


@pytest.mark.parametrize(
    ("name", "body"),
    {
        "a.csv": b"text,label\n" + GOOD + BAD,
        "a.jsonl": b'{"text":"a","label":1}\n{"text":"b","label":0}\n' * 5 + BAD,
    }.items(),
)
def test_a_few_texts_that_are_no_utf8_are_counted_named_and_left_out(
    name: str, body: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / name, body)
    data = the_data(config(path, invalid=0.1))
    assert len(data.train) == 6
    place = "row" if name == "a.csv" else "line"
    told = f"data.path: 1 of 11 texts are no valid UTF-8, the first of them {place} 11"
    assert f"{told}; they are left out" in capsys.readouterr().err
    with pytest.raises(SettingError, match=f"{told}, and data.invalid allows a share of 0.01; convert them"):
        the_data(config(path))


def test_texts_without_a_label_or_without_a_word_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = as_csv(tmp_path / "a.csv", [*ROWS, ("no label", ""), (" \n", "x")])
    assert len(the_data(config(path)).train) == 12
    assert "2 of 22 texts are empty or have no label, the first of them row 21" in capsys.readouterr().err


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"data.path is .*nowhere.csv', where there is nothing; mount the texts there"
    ):
        the_data(config(tmp_path / "nowhere.csv"))


REFUSED: dict[str, tuple[str, bytes, dict[str, Any], str]] = {
    "a column that is not there": (
        "a.csv",
        b"txet,label\na,x\n",
        {},
        "data.text is 'text', which is not in data.path; did you mean 'txet'?",
    ),
    "a key that is not there": (
        "a.jsonl",
        b'{"text":"a","label":1}\n{"text":"a","lable":1}\n',
        {},
        "data.label is 'label', which is not in data.path: line 2; did you mean 'lable'?",
    ),
    "a line that is no JSON": ("a.jsonl", b'{"text":\n', {}, "data.path: line 1 is no JSON"),
    "a line that is no object": ("a.jsonl", b"[1]\n", {}, "data.path: line 1 is no JSON object"),
    "a label that is a list": ("a.jsonl", b'{"text":"a","label":[1]}\n', {}, "a label is a text or a whole number"),
    "a text that is a number": ("a.jsonl", b'{"text":1,"label":1}\n', {}, "line 1 has 1 for 'text', which is no text"),
    "an ending nobody knows": ("a.dat", b"", {}, "whose ending is not known; set data.format to csv or jsonl"),
    "a file that is said to be folders": (
        "a.csv",
        b"",
        {"format": "folders"},
        "data.format is 'folders' but data.path",
    ),
    "rows of different length": ("a.csv", b"text,label\na,x,y\n", {}, "cannot be read as csv"),
    "nothing but a header": ("a.csv", b"text,label\n", {}, "holds no text with a label"),
    "a single class": ("a.csv", b"text,label\na,x\nb,x\n", {}, "all texts have the label 'x'; classes need at least 2"),
    "a class with too few texts for all parts": (
        "a.csv",
        b"text,label\n" + b"a,x\n" * 9 + b"b,y\n",
        {"split": {"validation": 0.3, "test": 0.6, "stratify": False, "seed": 1}},
        "class 'y' of the data has no sample in the training part",
    ),
    "a tokenizer that is not there": (
        "a.csv",
        b"text,label\n" + GOOD,
        {"vocabulary": {"name": "tokenizer", "file": "/nowhere/at/all"}},
        "data.vocabulary.file is '/nowhere/at/all', where there is nothing; mount the tokenizer there",
    ),
}


@pytest.mark.parametrize(("name", "body", "data", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_told(name: str, body: bytes, data: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as raised:
        the_data(config(written(tmp_path / name, body), **data))
    assert told in str(raised.value)


def test_an_empty_class_folder_is_told(tmp_path: Path) -> None:
    as_folders(tmp_path, ROWS)
    (tmp_path / "z").mkdir()
    with pytest.raises(SettingError, match="class 'z' is an empty folder; put texts in it or remove it"):
        the_data(config(tmp_path))


def test_a_damaged_tokenizer_is_told(tmp_path: Path) -> None:
    written(tmp_path / "tokenizer.json", b"{}")
    path = as_csv(tmp_path / "a.csv", ROWS)
    with pytest.raises(SettingError, match=r"data.vocabulary.file: .* holds no tokenizer that can be read"):
        the_data(config(path, vocabulary={"name": "tokenizer", "file": str(tmp_path)}))


def test_a_label_that_training_does_not_know_is_told(tmp_path: Path) -> None:
    path, other = as_csv(tmp_path / "a.csv", ROWS), as_csv(tmp_path / "b.csv", [("a", "z")])
    told = "has the label 'z', which data.path does not have; known are x, y"
    with pytest.raises(SettingError, match=f"data.validation_path {told}"):
        the_data(config(path, validation_path=str(other)))
    with pytest.raises(SettingError, match=f"data.test_path {told}"):
        the_data(config(path, test_path=str(other))).test()


def test_a_part_with_a_file_and_a_share_is_told(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "a.csv", ROWS)
    with pytest.raises(SettingError, match=r"data.split.test is 0.3 but data.test_path has all of this part"):
        the_data(config(path, test_path=str(path), split={"test": 0.3}))


def test_an_unknown_setting_of_texts_is_told_with_the_nearest() -> None:
    with pytest.raises(
        SettingError, match=r"data.lenght \(value 3\) is no setting of the trainer; did you mean 'length'"
    ):
        a_config({"data": {"name": "text", "path": "a.csv", "lenght": 3}})
    with pytest.raises(SettingError, match=r"data.vocabulary.size is 300 but has no effect with data.vocabulary auto"):
        a_config({"data": {"name": "text", "path": "a.csv", "vocabulary": {"size": 300}}})


REAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a bag of byte pairs": ({"name": "linear"}, {"lr": 0.3}),
    "a bag of byte pairs through an MLP": ({"name": "mlp", "layers": 1, "width": 16}, {"lr": 0.01}),
    "a GRU": ({"name": "rnn", "cell": "gru", "width": 16}, {"lr": 0.02}),
    "an encoder": ({"name": "transformer", "width": 16, "layers": 1, "heads": 2}, {"lr": 0.01}),
    "a decoder": ({"name": "decoder", "width": 16, "layers": 1, "positions": "rotary", "heads": 2}, {"lr": 0.01}),
}


@pytest.mark.parametrize(("model", "parameters"), REAL.values(), ids=REAL.keys())
def test_each_model_tells_licences_from_docstrings(
    model: dict[str, Any], parameters: dict[str, Any], tmp_path: Path
) -> None:
    path = as_csv(tmp_path / "a.csv", labelled(120))
    settings = {
        "data": {"name": "text", "path": str(path), "length": 48, "vocabulary": {"name": "bpe", "size": 500}},
        "model": model,
        "train": {"epochs": 6, "batch_size": 24},
    }
    code, session = ran(a_config(settings, **parameters), a_session(tmp_path / "c"))
    assert code == 0
    # Half of them are licences. How hard the rest is depends on what the Python at hand has in its docstrings.
    assert session.snapshot().final["val_accuracy"] >= 0.75
