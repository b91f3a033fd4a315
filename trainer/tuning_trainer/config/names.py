"""Every setting by its path, read off the settings classes, and how a parameter's name leads to one. Pure."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.config.root import TrainerConfig

WITHIN = ("compress.", "data.vocabulary.")
"""Sections whose settings have short names of two parts, `prune.share`: the last one alone means other settings too."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One place where a setting is defined: the class that has it and the members that must be chosen to reach it."""

    owner: type[BaseModel]
    field: str
    needs: Mapping[str, str]
    """Path of a choice of sections -> the member this variant belongs to."""

    @property
    def info(self) -> FieldInfo:
        """pydantic's description of the field."""
        return self.owner.model_fields[self.field]


@dataclass(frozen=True, slots=True)
class Setting:
    """One settable path, such as `optimizer.lr`, with all the members that have it."""

    path: str
    variants: tuple[Variant, ...]

    @property
    def short(self) -> str:
        """The name beside the path that means this setting, if no other has it too."""
        return self.path.partition(".")[2] if self.path.startswith(WITHIN) else self.leaf

    @property
    def leaf(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def members(self, section: str) -> frozenset[str] | None:
        """The members of the choice `section` that have this setting; None where it does not depend on that choice."""
        found = [v.needs.get(section) for v in self.variants]
        return None if None in found else frozenset(f for f in found if f)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All settings, all choices of sections, and the short names."""

    settings: Mapping[str, Setting]
    """Path -> setting; the name of a chosen member is a setting too (`optimizer.name`)."""
    sections: frozenset[str]
    """Paths that hold settings: `train`, `data.split`, `optimizer`, ..."""
    choices: Mapping[str, frozenset[str]]
    """Path of each choice of sections -> the names of its members."""
    defaults: Mapping[str, str]
    """Path of a choice -> the member that is chosen when nobody chooses."""
    names: Mapping[str, tuple[str, ...]]
    """Every name a parameter may have -> the paths it could mean; more than one is ambiguous."""
    open: frozenset[str]
    """Settings that hold any names, such as arguments of somebody's own code; each of them can be a parameter."""

    def setting(self, path: str) -> Setting:
        """The setting of a path; what lies in an open one is told by that one."""
        return self.settings.get(path) or self.settings[self.open_at(path) or path]

    def open_at(self, path: str) -> str | None:
        """The open setting that `path` lies in, such as `model.settings` for `model.settings.depth`."""
        return next((each for each in self.open if path.startswith(f"{each}.") and path != f"{each}."), None)

    def path_of(self, name: str) -> str:
        """The path that a parameter's name means. Raises `SettingError` for an unknown or an ambiguous name."""
        if self.open_at(name):
            return name
        paths = self.names.get(name)
        if paths is None:
            raise SettingError(f"parameter {name!r} is no setting of the trainer; {nearest(name, self.names)}")
        if len(paths) > 1:
            raise SettingError(f"parameter {name!r} could mean {' or '.join(paths)}; write the whole path")
        return paths[0]


@cache
def catalogue() -> Catalogue:
    """The catalogue of `TrainerConfig`."""
    return build_catalogue(TrainerConfig)


def build_catalogue(root: type[BaseModel]) -> Catalogue:
    """Reads the catalogue off any settings class."""
    found: dict[str, list[Variant]] = {}
    sections: set[str] = set()
    choices: dict[str, set[str]] = {}
    defaults: dict[str, str] = {}
    for path, variant, kind in _walk(root, "", {}):
        if kind == "section":
            sections.add(path)
            default = variant.info.default
            member = _member_name(type(default)) if isinstance(default, BaseModel) else None
            if member:
                defaults[path] = member
            continue
        found.setdefault(path, []).append(variant)
        section, _, leaf = path.rpartition(".")
        member = _member_name(variant.owner)
        if leaf == "name" and member:
            choices.setdefault(section, set()).add(member)
    settings = {path: Setting(path, tuple(variants)) for path, variants in sorted(found.items())}
    return Catalogue(
        settings=MappingProxyType(settings),
        sections=frozenset(sections),
        choices=MappingProxyType({path: frozenset(names) for path, names in choices.items()}),
        defaults=MappingProxyType(defaults),
        names=MappingProxyType(_names(settings, choices)),
        open=frozenset(path for path, setting in settings.items() if _is_open(setting)),
    )


def _names(settings: Mapping[str, Setting], choices: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    names: dict[str, set[str]] = {}
    for setting in settings.values():
        names.setdefault(setting.short, set()).add(setting.path)
    names.pop("name", None)  # every choice has one; the section's own name stands for it
    resolved = {name: tuple(sorted(paths)) for name, paths in names.items()}
    for section in sorted(choices, key=len, reverse=True):
        resolved |= dict.fromkeys({section, Setting(section, ()).short}, (f"{section}.name",))
    resolved |= {path: (path,) for path in settings}
    return dict(sorted(resolved.items()))


def _walk(owner: type[BaseModel], prefix: str, needs: Mapping[str, str]) -> Iterator[tuple[str, Variant, str]]:
    for field, info in owner.model_fields.items():
        path = f"{prefix}{field}"
        variant = Variant(owner, field, needs)
        classes = [c for c in _classes(info.annotation) if issubclass(c, BaseModel)]
        if not classes:
            yield path, variant, "setting"
            continue
        yield path, variant, "section"
        for member in classes:
            name = _member_name(member)
            yield from _walk(member, f"{path}.", {**needs, path: name} if name else needs)


def _classes(annotation: Any) -> list[type]:
    if isinstance(annotation, type):
        return [annotation]
    if typing.get_origin(annotation) in (tuple, list, dict):
        return []
    return [c for argument in typing.get_args(annotation) for c in _classes(argument)]


def _is_open(setting: Setting) -> bool:
    return any(typing.get_origin(variant.info.annotation) is dict for variant in setting.variants)


def _member_name(owner: type[BaseModel]) -> str | None:
    info = owner.model_fields.get("name")
    arguments = typing.get_args(info.annotation) if info is not None else ()
    return arguments[0] if arguments and isinstance(arguments[0], str) else None
