"""`$(NAME)` in commands, arguments and environment values, by the rules of the kubelet.

A template must mean the same on a laptop as in a pod, so this follows `third_party/forked/golang/expansion` to the
letter: `$$` is an escaped `$`, an unknown name stays as it was written, an unclosed reference too.
"""

from collections.abc import Iterable, Mapping


def expand(text: str, known: Mapping[str, str]) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out.append(text[at])
            at += 1
        elif text[at + 1] == "$":
            out.append("$")
            at += 2
        elif text[at + 1] == "(" and (end := text.find(")", at + 2)) >= 0:
            name = text[at + 2 : end]
            out.append(known.get(name, f"$({name})"))
            at = end + 1
        else:
            out.append(text[at : at + 2])
            at += 2
    return "".join(out)


def expand_all(texts: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expand(text, known) for text in texts)


def expand_environment(given: Iterable[tuple[str, str]], known: Mapping[str, str]) -> dict[str, str]:
    """Values of a container's `env` in order: each may refer to those before it and to `known`."""
    result: dict[str, str] = {}
    for name, value in given:
        result[name] = expand(value, {**known, **result})
    return result
