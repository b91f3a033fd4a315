"""The loader reads what kubectl reads; tests/cluster compares it with the real one."""

from pathlib import Path

import pytest

from tuning_operator.api.load import BadFileError, load_file, load_text, plain

SCALARS = {
    "1e-4": 0.0001, "1E3": 1000, "1.5e3": 1500, "1.0": 1, "-0.5": -0.5, ".5": 0.5, "5.": 5, "+1": 1, "1e25": 1e25,
    "017": 15, "0o17": 15, "0x1f": 31, "0b11": 3, "-0b11": -3, "09": 9, "1_000": 1000,
    "9223372036854775807": 2**63 - 1, "99999999999999999999": 1e20, "0": 0, "-0": 0,
    "yes": True, "No": False, "on": True, "OFF": False, "y": True, "n": False, "True": True, "tRue": "tRue",
    "~": None, "null": None, "Null": None, "nULL": "nULL",
    "2001-01-01": "2001-01-01", "1:30": "1:30", "1.2.3": "1.2.3", "1e": "1e", "-": "-", "0x": "0x", "1e400": "1e400",
    "sgd": "sgd", "inf": "inf", "NaN": "NaN", "6h": "6h",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=str)
def test_plain_scalars(text: str, value: object) -> None:
    read = plain(text)
    assert (read, type(read)) == (value, type(value))


def value_of(text: str) -> object:
    (document,) = load_text(text)
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    {
        "quotes keep text as it is": ('{a: "1e-4", b: \'yes\', c: "~"}', {"a": "1e-4", "b": "yes", "c": "~"}),
        "a block is text": ("a: |\n  1\n", {"a": "1\n"}),
        "tags decide": ("a: !!str 1\nb: !!float 1\n", {"a": "1", "b": 1.0}),
        "names become text": ("on: 1\n1: 2\n", {"true": 1, "1": 2}),
        "a merge is filled in": (
            "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\n",
            {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}},
        ),
        "JSON": ('{"a": 1.0, "b": 1e-4, "c": true}', {"a": 1, "b": 0.0001, "c": True}),
        "YAML that begins with a brace": ("{a: 1}", {"a": 1}),
        "an empty value": ("a:\n", {"a": None}),
    }.values(),
    ids=str,
)
def test_documents(text: str, value: object) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: .inf", "f.yaml:1: a: .inf: is no JSON number; write a finite number"),
        ("a:\n  b: [1, .nan]", "f.yaml:2: a.b[1]: .nan: is no JSON number"),
        ('{"a": NaN}', "f.yaml: NaN is no JSON number"),
        ('{"a": 1e999}', "f.yaml: 1e999 is no JSON number"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3: 'a' is written twice; keep one"),
        ('{"a": 1, "a": 2}', "'a' is written twice in one object; keep one"),
        ("a: [1, 2", "f.yaml:1: is no YAML"),
        ("a: b: c", "f.yaml:1: is no YAML: mapping values are not allowed here"),
        ("a: !!binary aGk=", "f.yaml:1: the tag tag:yaml.org,2002:binary has no JSON form; remove it"),
        ("a: !python/object:os.system x", "has no JSON form; remove it"),
        ("a: &x [*x]", "f.yaml:1: an alias refers to what it stands in"),
        ("[1]: 2", "f.yaml:1: a name must be text"),
        ("~: 2", "f.yaml:1: a name must be text; put it into quotes"),
        ("\tb: 1", "f.yaml:1: is no YAML"),
    ],
)
def test_bad_text(text: str, says: str) -> None:
    with pytest.raises(BadFileError) as caught:
        load_text(text, source="f.yaml")
    assert says in str(caught.value)


def test_yaml_that_unfolds_without_bound_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(BadFileError, match="has more than 200000 values"):
        load_text("\n".join(lines))


def test_deep_yaml_is_refused_without_a_traceback() -> None:
    with pytest.raises(BadFileError):
        load_text("[" * 100_000)
    with pytest.raises(BadFileError):
        load_text('{"a":' * 100_000)


def test_lines_and_documents(tmp_path: Path) -> None:
    path = tmp_path / "studies.yaml"
    path.write_text("a:\n- b: 1\n  c: 2\n---\n# nothing\n---\nd: {e: 3}\n")
    first, second = load_file(path)
    assert first.line("a[0].c") == 3
    assert first.line("a[0].missing.deeper[3]") == 2
    assert second.line("d.e") == 7
    assert first.line("elsewhere") == 1


def test_a_missing_file_and_a_file_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"gone\.yaml: cannot be read: No such file"):
        load_file(tmp_path / "gone.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFileError, match=r"bytes\.yaml: is not UTF-8 text"):
        load_file(tmp_path / "bytes.yaml")
