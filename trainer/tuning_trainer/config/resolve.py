"""Settings and parameters in, one checked configuration out. Pure.

A parameter means a setting by its path (`optimizer.lr`), by its short name (`lr`), or by the name of a choice of
sections (`optimizer: adam`). Parameters win over settings. In settings, a section may be written as the name alone:
`data: digits`.

When the member of a choice is itself a parameter (`optimizer` is `sgd` or `adam`), what belongs only to the other
members is left out of the trial, whether it was a parameter (`momentum`) or a setting. When the member is fixed, a
value that it does not have is an error: it could never have an effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.config.match import matched
from tuning_trainer.config.names import Catalogue, Setting, catalogue
from tuning_trainer.config.root import TrainerConfig


@dataclass(frozen=True, slots=True)
class Resolved:
    """A checked configuration, and the paths that were left out because their member was not chosen."""

    config: TrainerConfig
    left_out: tuple[str, ...] = ()


def resolve(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> Resolved:
    """Merges `parameters` over `settings` and checks the whole.

    Raises `SettingError` that names each field, its value and what to write instead.
    """
    known = catalogue()
    tuned = _by_path(parameters, known)
    values = dict(_flatten(settings, "", known)) | {path: value for path, (_, value) in tuned.items()}
    chosen = _chosen(values, known)
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    for path, value in values.items():
        reason = _misfit(known.setting(path), chosen)
        if reason is None:
            kept[path] = value
        elif any(f"{section}.name" in tuned for section in reason):
            left_out.append(path)
        else:
            raise SettingError(_no_effect(path, value, reason, chosen))
    try:
        config = TrainerConfig.model_validate(_nest(kept))
    except ValidationError as error:
        raise SettingError(_explain(error, tuned, known)) from None
    return Resolved(config=matched(config), left_out=tuple(sorted(left_out)))


def _by_path(parameters: Mapping[str, Any], known: Catalogue) -> dict[str, tuple[str, Any]]:
    tuned: dict[str, tuple[str, Any]] = {}
    for name, value in parameters.items():
        path = known.path_of(name)
        if path in tuned:
            raise SettingError(f"parameters {tuned[path][0]!r} and {name!r} both set {path}; keep one of them")
        tuned[path] = (name, value)
    return tuned


def _flatten(tree: Mapping[str, Any], prefix: str, known: Catalogue) -> Iterator[tuple[str, Any]]:
    """The settings by path. A choice written as text is its name. Raises `SettingError` for what is not known."""
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if path in known.choices and isinstance(value, str):
            yield f"{path}.name", value
        elif path in known.sections:
            if not isinstance(value, Mapping):
                raise SettingError(f"{path} is {value!r}; it must be an object of settings" + _or_name(path, known))
            yield from _flatten(value, f"{path}.", known)
        elif path in known.settings:
            yield path, value
        else:
            siblings = [s for s in (*known.settings, *known.sections) if s.startswith(prefix)]
            near = nearest(key, {s[len(prefix) :].partition(".")[0] for s in siblings})
            raise SettingError(f"{path} (value {value!r}) is no setting of the trainer; {near}")


def _or_name(path: str, known: Catalogue) -> str:
    return f", or one of the names {', '.join(sorted(known.choices[path]))}" if path in known.choices else ""


def _chosen(values: Mapping[str, Any], known: Catalogue) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for section, members in known.choices.items():
        name = values.get(f"{section}.name", known.defaults.get(section))
        if name is None:
            if any(path.startswith(f"{section}.") for path in values):
                raise SettingError(f"{section}.name is missing; choose one of {', '.join(sorted(members))}")
            continue
        if not isinstance(name, str) or name not in members:
            raise SettingError(f"{section}.name is {name!r}; {nearest(str(name), members)}")
        chosen[section] = name
    return chosen


def _misfit(setting: Setting, chosen: Mapping[str, str]) -> dict[str, frozenset[str]] | None:
    """The choices that keep this setting from having an effect, with the members that would have it; None if it has
    one.
    """
    own = setting.path.removesuffix(".name")  # that the name of a member is one of the choice's was checked before
    if any(all(chosen.get(s) == m for s, m in v.needs.items() if s != own) for v in setting.variants):
        return None
    reasons = {}
    for section in {s for v in setting.variants for s in v.needs if s != own}:
        members = setting.members(section)
        if members is not None and chosen.get(section) not in members:
            reasons[section] = members
    return reasons


def _no_effect(path: str, value: object, reason: Mapping[str, frozenset[str]], chosen: Mapping[str, str]) -> str:
    section, members = next(iter(reason.items()))
    return (
        f"{path} is {value!r} but has no effect with {section} {chosen.get(section)}: it belongs to "
        f"{', '.join(sorted(members))}; choose one of them, make {section} a parameter too, or leave {path} out"
    )


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *sections, leaf = path.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = dict(value) if isinstance(value, Mapping) else value
    for section, default in catalogue().defaults.items():
        if any(path.startswith(f"{section}.") for path in values):
            *outer, leaf = section.split(".")
            place = tree
            for part in outer:
                place = place[part]
            place[leaf].setdefault("name", default)
    return tree


def _explain(error: ValidationError, tuned: Mapping[str, tuple[str, Any]], known: Catalogue) -> str:
    problems: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        path = _path(problem["loc"], known)
        message = problem["msg"].replace("Input should be", "it must be").removeprefix("Value error, ")
        if problem["type"] == "missing":
            text = f"{path} is missing; it must be set" + _or_name(path, known)
        elif path in known.settings:
            name = tuned[path][0] if path in tuned else path
            called = f"parameter {name} ({path})" if name != path else path
            text = f"{called} is {problem['input']!r}; {message}"
        else:
            text = f"{path}: {message}" if path else message
        problems[path] = f"{problems[path]} or {message}" if path in problems else text
    return "; ".join(problems.values())


def _path(location: tuple[int | str, ...], known: Catalogue) -> str:
    """The path of a pydantic location, without the tags that pydantic adds for members and unions."""
    path = ""
    for part in map(str, location):
        longer = f"{path}.{part}" if path else part
        if longer in known.settings or longer in known.sections:
            path = longer
    return path
