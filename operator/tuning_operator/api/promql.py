"""Binds a PromQL expression to one pod: every series that it can read gets the pod's matchers.

The expression is a user's, and the server that answers it holds the series of others, too; the operator must not read
those for them. So each vector selector is found and narrowed, and whatever is not understood for certain is refused:
words that could be both a name and an operator, functions that read more than their arguments, the extensions of other
servers. What passes is ordinary PromQL; `tests/unit/api/test_promql.py` holds it against Prometheus' own parser.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LENGTH_MAX: Final = 1024
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<range>\[[0-9smhdwy:\s]{1,60}\])
    |(?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![A-Za-z0-9_:.]))
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_:.]))
    |(?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<sign>==|!=|<=|>=|=~|!~|[-+*/%^<>=@(){},])""",
    re.VERBOSE,
)
_AGGREGATIONS: Final = frozenset(
    re.findall(
        r"\w+",
        """
    sum min max avg group count count_values bottomk topk quantile stddev stdvar limitk limit_ratio
        """,
    )
)
_FUNCTIONS: Final = frozenset(
    re.findall(
        r"\w+",
        """
    abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp clamp_max clamp_min
    cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv
    double_exponential_smoothing exp first_over_time floor histogram_avg histogram_count histogram_fraction
    histogram_quantile histogram_stddev histogram_stdvar histogram_sum holt_winters hour idelta increase irate
    label_join label_replace last_over_time ln log10 log2 mad_over_time max_over_time min_over_time minute month pi
    predict_linear present_over_time quantile_over_time rad rate resets round scalar sgn sin sinh sort sort_by_label
    sort_by_label_desc sort_desc sqrt stddev_over_time stdvar_over_time sum_over_time tan tanh time timestamp vector
    year
        """,
    )
)
"""Those that read nothing but their arguments: `info` is none of them."""
_BINARY: Final = frozenset({"and", "or", "unless", "atan2"})
_GROUPING: Final = frozenset({"by", "without"})
_MATCHING: Final = frozenset({"on", "ignoring"})
_JOINING: Final = frozenset({"group_left", "group_right"})
_NUMBERS: Final = frozenset({"inf", "nan"})
_RESERVED: Final = _AGGREGATIONS | _BINARY | _GROUPING | _MATCHING | _JOINING | {"bool", "offset", "start", "end"}
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "^"})
_COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">="})
_MATCHERS: Final = frozenset({"=", "!=", "=~", "!~"})


class PromQLError(ValueError):
    """An expression that is not taken; the message says which word is the matter and what to write."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        """Keywords are the same in upper case."""
        return self.text.lower() if self.kind == "word" else ""


def bound(expression: str, matchers: Mapping[str, str]) -> str:
    """The expression, reading only series with these labels. Raises `PromQLError`."""
    if len(expression) > LENGTH_MAX:
        raise PromQLError(f"it has {len(expression)} characters; write at most {LENGTH_MAX}")
    added = ",".join(f"{name}={quoted(value)}" for name, value in matchers.items())
    return _Binder(_tokens(expression), added).bind()


def quoted(value: str) -> str:
    """A string literal of PromQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise PromQLError(f"{text[at : at + 20]!r} is not understood")
        if match.lastgroup != "space":
            tokens.append(_Token(match.lastgroup, match[0]))
        at = match.end()
    return tokens


class _Binder:
    """One pass over the tokens. `_value`: whether the last one ended a value, so that only an operator may follow."""

    def __init__(self, tokens: list[_Token], added: str) -> None:
        self._tokens = tokens
        self._added = added
        self._at = 0
        self._out: list[str] = []
        self._open: list[str] = []
        self._value = False
        self._matching = False
        """Just behind `on (...)` or `ignoring (...)`."""
        self._comparison = False
        """Just behind a comparison."""

    def bind(self) -> str:
        while self._at < len(self._tokens):
            matching, comparison = self._matching, self._comparison
            self._matching = self._comparison = False
            token = self._take()
            if token.kind == "word":
                self._word(token, matching=matching, comparison=comparison)
            elif token.kind == "range":
                self._after_value(token)
            elif token.kind in ("string", "number", "duration"):
                self._operand(token, token.text)
            else:
                self._sign(token)
        if self._open or not self._value:
            raise PromQLError("it ends in the middle")
        return " ".join(self._out)

    def _take(self, what: str = "more") -> _Token:
        if self._at >= len(self._tokens):
            raise PromQLError(f"it ends where {what} is expected")
        self._at += 1
        return self._tokens[self._at - 1]

    def _next(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _operand(self, token: _Token, text: str) -> None:
        if self._value:
            raise PromQLError(f"{token.text!r} stands where an operator is expected")
        self._out.append(text)
        self._value = True

    def _word(self, token: _Token, *, matching: bool, comparison: bool) -> None:
        word = token.word
        if word in _BINARY:
            self._after_value(token)
            self._value = False
        elif word == "bool" and comparison:
            self._out.append(token.text)
        elif word == "offset":
            self._after_value(token)
            self._amount(("duration", "number"))
        elif word in _GROUPING and self._next() == "(":
            self._out.append(token.text)
            self._labels()
        elif word in _MATCHING and self._next() == "(" and not self._value:
            self._out.append(token.text)
            self._labels()
            self._matching = True
        elif word in _JOINING and matching:
            self._out.append(token.text)
            if self._next() == "(":
                self._labels()
        elif word in _NUMBERS:
            self._operand(token, token.text)
        elif word in _AGGREGATIONS and (self._next() == "(" or self._next().lower() in _GROUPING):
            self._call(token)
        elif self._next() == "(":
            if token.text not in _FUNCTIONS:
                raise PromQLError(f"the function {token.text} is not allowed here; write it without")
            self._call(token)
        elif word in _RESERVED:
            raise PromQLError(f"{token.text!r} is a word of PromQL; for a metric of that name write "
                              f'{{__name__="{token.text}"}}')  # fmt: skip
        else:
            self._selector(token)

    def _call(self, token: _Token) -> None:
        if self._value:
            raise PromQLError(f"{token.text!r} stands where an operator is expected")
        self._out.append(token.text)

    def _after_value(self, token: _Token) -> None:
        if not self._value:
            raise PromQLError(f"{token.text!r} stands where a value is expected")
        self._out.append(token.text)

    def _sign(self, token: _Token) -> None:
        sign = token.text
        if sign == "{":
            self._selector(None)
        elif sign == "(":
            if self._value:
                raise PromQLError("'(' stands where an operator is expected")
            self._open.append(sign)
            self._out.append(sign)
        elif sign == ")":
            if not self._open:
                raise PromQLError("there is one ')' too many")
            self._open.pop()
            self._out.append(sign)
            self._value = True
        elif sign == "," and self._open:
            self._after_value(token)
            self._value = False
        elif sign == "@":
            self._after_value(token)
            self._moment()
        elif sign in _COMPARISONS or (sign in _ARITHMETIC and (self._value or sign not in "+-")):
            self._after_value(token)
            self._value, self._comparison = False, sign in _COMPARISONS
        elif sign in ("+", "-"):
            self._out.append(sign)
        else:
            raise PromQLError(f"{sign!r} is not expected there")

    def _selector(self, name: _Token | None) -> None:
        """A metric's name, or only `{...}`; the brackets get the pod's matchers."""
        if self._value:
            raise PromQLError(f"{name.text if name else '{'!r} stands where an operator is expected")
        inside: list[str] = []
        if name is None or self._next() == "{":
            if name is not None:
                self._take()
            inside = self._brackets()
        self._out.append(f"{name.text if name else ''}{{{','.join([*inside, self._added])}}}")
        self._value = True

    def _brackets(self) -> list[str]:
        """What stands between `{` and `}`: matchers, or a name in quotes."""
        inside: list[str] = []
        while True:
            token = self._take("}")
            if token.text == "}":
                return inside
            if token.kind not in ("word", "string"):
                raise PromQLError(f"{token.text!r} is no label")
            if token.kind == "string" and self._next() in (",", "}"):
                inside.append(token.text)
            else:
                operator, value = self._take("a matcher"), self._take("a string")
                if operator.text not in _MATCHERS or value.kind != "string":
                    raise PromQLError(
                        f'{token.text} {operator.text} {value.text} is no matcher; write for example {token.text}="x"'
                    )
                inside.append(token.text + operator.text + value.text)
            if self._next() == ",":
                self._take()
            elif self._next() != "}":
                raise PromQLError(f"{self._next()!r} stands where ',' or '}}' is expected")

    def _labels(self) -> None:
        """`(a, b)`: names only."""
        words = [self._take("(").text]
        while (token := self._take(")")).text != ")":
            if token.kind not in ("word", "string") and token.text != ",":
                raise PromQLError(f"{token.text!r} is no label")
            words.append(token.text)
        self._out.append("".join([*words, ")"]))

    def _moment(self) -> None:
        if self._next().lower() in ("start", "end"):
            words = [self._take().text, self._take("(").text, self._take(")").text]
            if words[1:] != ["(", ")"]:
                raise PromQLError(f"{words[0]!r} is followed by ()")
            self._out.append("".join(words))
            return
        self._amount(("number",))

    def _amount(self, kinds: tuple[str, ...]) -> None:
        token = self._take("a number")
        if token.text in ("+", "-"):
            self._out.append(token.text)
            token = self._take("a number")
        if token.kind not in kinds:
            raise PromQLError(f"{token.text!r} stands where a number is expected")
        self._out.append(token.text)
