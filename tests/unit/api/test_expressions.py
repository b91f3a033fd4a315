"""CEL over parameters: what it comes to, what it refers to, and what is refused before it is used."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.expressions import ExpressionError, Kind, NotComputableError, compile_expression

KINDS = {
    "lr": Kind.DOUBLE,
    "layers": Kind.INT,
    "optimizer": Kind.STRING,
    "flag": Kind.BOOL,
    "any": Kind.ANY,
    "model.width": Kind.INT,
    "in": Kind.INT,
    "p": Kind.INT,
}
LONG = " + ".join(["optimizer"] * 20)
VALUES: dict[str, JSONScalar] = {
    "lr": 0.3, "layers": 3, "optimizer": "sgd", "flag": True, "any": "x", "model.width": 64, "in": 4, "p": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value", "names"),
    [
        pytest.param("lr", 0.3, ("lr",), id="a parameter"),
        pytest.param("layers * 2", 6, ("layers",), id="whole numbers stay whole"),
        pytest.param("layers / 2", 1, ("layers",), id="and are divided as such"),
        pytest.param("layers * 0.5", 1.5, ("layers",), id="mixed with real ones they are real"),
        pytest.param("layers / 2 * lr", 0.45, ("layers", "lr"), id="all of them"),
        pytest.param("lr > 0 && layers <= 3", True, ("lr", "layers"), id="comparisons too"),
        pytest.param('p["model.width"] / 2', 32, ("model.width",), id="a name that is no identifier"),
        pytest.param("p['in'] + p.p", 11, ("in", "p"), id="names that are words of the language"),
        pytest.param('"lr" in p && !("sgd" in ["adam"])', True, ("lr",), id="presence"),
        pytest.param("optimizer in ['sgd', 'adam']", True, ("optimizer",), id="a list"),
        pytest.param("optimizer + string(layers)", "sgd3", ("optimizer", "layers"), id="text"),
        pytest.param("flag ? 'lr' : \"p.lr\"", "lr", ("flag",), id="names in text are text"),
        pytest.param("size(optimizer) // lr\n + 1", 4, ("optimizer",), id="comments are no code"),
        pytest.param("any == 1 || any == 'x'", True, ("any",), id="a parameter of several types"),
        pytest.param("int(lr * 10.0)", 3, ("lr",), id="conversion"),
    ],
)
def test_value_and_names(text: str, value: JSONScalar, names: tuple[str, ...]) -> None:
    compiled = compile_expression(text, KINDS)
    found = compiled.value(VALUES)
    assert found == pytest.approx(value)
    assert type(found) is type(value)
    assert compiled.names == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("lr >", "is no valid CEL: Syntax error: mismatched input '<EOF>'", id="half"),
        pytest.param("lrr > 1.0", "there is no parameter 'lrr', did you mean 'lr'?", id="a slip"),
        pytest.param("p['models.width'] > 1", "did you mean 'model.width'?", id="a slip in quotes"),
        pytest.param("zzz", "there is no parameter 'zzz'; write one of lr, layers", id="unknown"),
        pytest.param("optimizer > 1", "no matching overload for '_>_' applied to '(string, int)'", id="types"),
        pytest.param("layers % 2 == 0 || lr + 1 > 2", "write real numbers: 2.0 instead of 2", id="real remainders"),
        pytest.param("null", "comes to a null", id="nothing"),
        pytest.param("[lr]", "comes to a list", id="a list"),
        pytest.param("p", 'p holds the parameters by name; write p["lr"]', id="all of them"),
        pytest.param("p[optimizer]", 'p holds the parameters by name; write p["lr"]', id="a computed name"),
        pytest.param("open('/etc/passwd')", "undeclared reference to 'open'", id="no files"),
        pytest.param("optimizer.__class__", "is no valid CEL", id="no Python"),
        pytest.param("[1, 2].map(lr, lr).size() > 1", "undeclared reference to 'map'", id="no loops"),
        pytest.param("(" * 100 + "1" + ")" * 100, "is nested too deeply", id="depth"),
        pytest.param("1 +" * 150 + "1", "is nested too deeply", id="length"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, KINDS)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["1 / 0", "layers / (layers - 3)", "9223372036854775807 + layers", "1.0 / 0.0", LONG])
def test_no_value(text: str) -> None:
    compiled = compile_expression(text, KINDS)
    values = {**VALUES, "optimizer": "x" * 100}
    with pytest.raises(NotComputableError):
        compiled.value(values)
    assert not compiled.holds(values)


def test_what_is_not_active_decides_nothing() -> None:
    compiled = compile_expression("optimizer == 'sgd' && lr > 0.1", KINDS)
    assert compiled.value({"optimizer": "adam"}) is False
    assert compiled.value({"optimizer": "sgd"}) is None
    assert not compiled.holds({"optimizer": "sgd"})
    assert compile_expression('"lr" in p', KINDS).value({}) is False


def test_a_number_may_have_lost_its_point() -> None:
    assert compile_expression("lr * 2.0", KINDS).value({"lr": 1}) == 2.0
    assert compile_expression("layers * 2", KINDS).value({"layers": 1.0}) == 2


@given(st.text(alphabet="pqlr019.+-*/%<>=!&|?:()[]{}'\"\\ ,inaeu", max_size=60))
def test_any_text_gets_an_answer_soon(text: str) -> None:
    started = time.perf_counter()
    try:
        compile_expression(text, KINDS).holds(VALUES)
    except ExpressionError as error:
        assert str(error)
    assert time.perf_counter() - started < 1
