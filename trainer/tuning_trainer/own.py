"""Somebody's own code by its dotted path: imported, called with the settings, and told apart from a mistake in them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tuning_trainer.config.errors import SettingError, nearest


def made(factory: str, *, field: str, within: str, settings: Mapping[str, Any], **given: Any) -> Any:
    """What the callable of the setting `field` returns for what is `given` and for the settings, which stand in
    `within`. Its own exceptions go through as they are.

    Raises `SettingError` when it cannot be imported, or does not take these settings.
    """
    make = _callable(factory, field)
    twice = sorted(given.keys() & settings.keys())
    if twice:
        raise SettingError(f"{within}.{twice[0]} is given by the trainer; leave it out")
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # a callable in C may have none
        return make(**given, **settings)
    try:
        signature.bind(**given, **settings)
    except TypeError as error:
        raise SettingError(_explain(error, signature, factory, field=field, within=within, settings=settings)) from None
    return make(**given, **settings)


def _callable(factory: str, field: str) -> Callable[..., Any]:
    place, _, name = factory.partition(":")
    try:
        module = importlib.import_module(place)
    except ImportError as error:
        raise SettingError(
            f"{field} is {factory!r}, but {place} cannot be imported: {error}; put its package on PYTHONPATH"
        ) from None
    if not hasattr(module, name):
        public = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise SettingError(f"{field} is {factory!r}, but {place} has no {name}; {nearest(name, public)}")
    make: Any = getattr(module, name)
    if not callable(make):
        raise SettingError(f"{field} is {factory!r}, which is {type(make).__name__}; it must be a callable")
    return make  # type: ignore[no-any-return]


def _explain(
    error: TypeError,
    signature: inspect.Signature,
    factory: str,
    *,
    field: str,
    within: str,
    settings: Mapping[str, Any],
) -> str:
    unknown = [name for name in settings if name not in signature.parameters]
    if unknown:
        return f"{within}.{unknown[0]} is no argument of {factory}; {nearest(unknown[0], signature.parameters)}"
    return f"{field} is {factory!r}, which does not take what it is given: {error}; see {within}"
