"""The command line of the trainer, and the way from settings to an exit code. torch is imported only to train.

In a study the settings come from `TUNING_TRAINER` and the parameters from `TUNING_PARAMETERS`. By hand::

    python -m tuning_trainer --config settings.yaml --set lr=0.1 --set optimizer=sgd

`--set` takes what a parameter takes, and wins over both. What was encrypted is read with::

    python -m tuning_trainer --decrypt model.onnx.enc --key-file KEY
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tuning_trial
from tuning_trainer.config import Resolved, SettingError, resolve
from tuning_trial import exit_codes


def main(arguments: Sequence[str]) -> int:
    """Runs the trainer; returns the exit code of the trial contract."""
    options = _parser().parse_args(arguments)
    if options.schema or options.reference:
        return _describe(options)
    if options.decrypt:
        return _decrypt(options.decrypt, options.key_file)
    if _starts_others(os.environ):
        from tuning_trainer.engine.starting import torchrun

        return torchrun(arguments)
    if options.checkpoint_dir:
        os.environ["TUNING_CHECKPOINT_DIR"] = str(options.checkpoint_dir)
    try:
        trial = tuning_trial.current()
    except tuning_trial.VariableError as error:
        print(f"tuning_trainer: {error}", file=sys.stderr)
        return exit_codes.INVALID_SETTING
    trial.should_stop()  # from here on SIGTERM asks, it does not kill
    try:
        resolved = _resolve(trial.environment, options)
    except SettingError as error:
        print(f"tuning_trainer: {error}", file=sys.stderr)
        return trial.fail("InvalidSetting", str(error))
    for path in resolved.left_out:
        print(f"tuning_trainer: {path} is left out; it does not belong to what is chosen", file=sys.stderr)
    from tuning_trainer.engine.run import run

    return run(resolved.config, trial)


def _starts_others(environ: Mapping[str, str]) -> bool:
    """Whether this is the first process of a pod with several GPUs, of several such pods, and does not train itself."""
    several = any(environ.get(name, "") not in ("", "1") for name in ("PET_NNODES", "PET_NPROC_PER_NODE"))
    return several and not environ.get("RANK")


def _resolve(environment: tuning_trial.Environment, options: argparse.Namespace) -> Resolved:
    settings: Any = environment.trainer or {}
    if options.config:
        settings = _read_settings(options.config)
    parameters = dict(environment.parameters or {}) | dict(_assignment(text) for text in options.set)
    if not settings and not parameters:
        raise SettingError("there are no settings; set TUNING_TRAINER, or use --config FILE or --set data=digits")
    return resolve(settings, parameters)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = _yaml(path.read_text())
    except OSError as error:
        raise SettingError(f"--config {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingError(f"--config {path} is not YAML: {error}") from None
    if not isinstance(settings, dict):
        raise SettingError(f"--config {path} holds {str(settings)[:60]!r}; it must hold a mapping of settings")
    return settings


def _assignment(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise SettingError(f"--set {text!r} must read NAME=VALUE, such as lr=0.1")
    try:
        return name, _yaml(value)
    except ValueError as error:
        raise SettingError(f"--set {text!r}: the value is not YAML: {error}") from None


def _yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads 1e-3 as the number it is, as Kubernetes does."""

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _describe(options: argparse.Namespace) -> int:
    from tuning_trainer.config import reference, schema

    document = schema if options.schema else reference
    if options.check:
        wrong = document.drift(options.check)
        if wrong:
            print(wrong, file=sys.stderr)
        return 1 if wrong else 0
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(document.text())
    else:
        sys.stdout.write(document.text())
    return 0


def _decrypt(paths: Sequence[Path], key_file: Path | None) -> int:
    from tuning_trainer.encryption.command import decrypt

    try:
        if key_file is None:
            raise SettingError("--decrypt needs --key-file KEY, the file that holds the key")
        for path in paths:
            print(decrypt(path, key_file))
    except (SettingError, OSError, ValueError) as error:
        print(f"tuning_trainer: {error}", file=sys.stderr)
        return exit_codes.INVALID_SETTING
    return exit_codes.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tuning_trainer", description="Trains one model and reports its metrics.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as YAML, instead of TUNING_TRAINER")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one parameter; repeatable")
    parser.add_argument("--checkpoint-dir", type=Path, metavar="DIR", help="instead of TUNING_CHECKPOINT_DIR")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--schema", action="store_true", help="print the machine-readable settings and end")
    kinds.add_argument("--reference", action="store_true", help="print the reference of all settings and end")
    kinds.add_argument(
        "--decrypt", type=Path, nargs="+", metavar="FILE.enc", help="write each file's content beside it"
    )
    parser.add_argument("--key-file", type=Path, metavar="KEY", help="the key of --decrypt")
    places = parser.add_mutually_exclusive_group()
    places.add_argument("--write", type=Path, metavar="PATH", help="write what would be printed there")
    places.add_argument("--check", type=Path, metavar="PATH", help="end with 1 when PATH holds something else")
    return parser
