"""What an administrator allows studies, by namespace: a file that the chart mounts.

The operator makes Jobs with its own rights, so rules that the API server enforces by who asks (which service account,
whose queue) would see the operator instead of the user. They stand here, and a study that breaks one says which. What
pods may do at all is Pod Security's matter; what reaches for the node is refused in any case (`api/template.py`).
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from tuning_operator.api import names
from tuning_operator.api.base import Resource

Object = dict[str, Any]


class PolicyError(ValueError):
    """The file cannot be read; the message names field, value and remedy."""


class Rules(Resource):
    """For one namespace. Without a value a field allows anything. Names are globs, as the shell has them."""

    service_accounts: list[str] = Field(
        default_factory=list, description="Service accounts besides `default` that pods of trials may have."
    )
    images: list[str] | None = Field(None, description="Images of their containers.")
    volumes: list[str] | None = Field(None, description="Kinds of their volumes, such as `persistentVolumeClaim`.")
    queues: list[str] | None = Field(None, description="Queues of Kueue that their Jobs must be in.")
    max_parallel: int | None = Field(None, ge=1, description="Trials at once of all studies of the namespace.")
    max_accelerators: int | None = Field(None, ge=1, description="Accelerators at once of all of them.")


class Policy(Resource):
    """The whole file."""

    max_accelerators: int | None = Field(None, ge=1, description="Accelerators at once of all namespaces together.")
    default: Rules = Field(default_factory=Rules, description="For every namespace.")
    namespaces: dict[str, Rules] = Field(default_factory=dict, description="What is different in some.")

    def of(self, namespace: str) -> Rules:
        """A field that the namespace sets stands for the default's."""
        own = self.namespaces.get(namespace)
        if own is None:
            return self.default
        return self.default.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def load(path: Path) -> Policy:
    """Raises `PolicyError`."""
    try:
        return Policy.model_validate(yaml.safe_load(path.read_text()) or {})
    except OSError as error:
        raise PolicyError(f"the policy cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PolicyError(f"{path}: {where}: {first['msg']}, but it is {first['input']!r}") from error


def violation(job: Object, rules: Rules, *, namespace: str) -> str | None:
    """The first rule that a Job breaks, in words for whoever wrote its study."""
    pod = job["spec"]["template"]["spec"]
    checks: list[tuple[str, str, Sequence[str] | None]] = [
        ("images", str(each.get("image", "")), rules.images) for each in _containers(pod)
    ]
    checks += [("volumes", kind, rules.volumes) for kind in _volume_kinds(pod)]
    queue = (job["metadata"].get("labels") or {}).get(names.LABEL_QUEUE, "")
    checks.append(("queues", queue, rules.queues))
    for field, value, allowed in checks:
        if allowed is not None and not any(fnmatchcase(value, pattern) for pattern in allowed):
            return (
                f"spec.trial.template: {value or 'none'!r} is not allowed by the policy of namespace {namespace!r} "
                f"({field}: {', '.join(allowed) or 'none'}): use what is, or ask the administrator"
            )
    return None


def _containers(pod: Object) -> list[Object]:
    return [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]


def _volume_kinds(pod: Object) -> Iterator[str]:
    for volume in pod.get("volumes") or ():
        yield next((key for key in volume if key != "name"), "emptyDir")
