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
from tuning_operator.api.kinds import JOB
from tuning_operator.api.study import Accelerator
from tuning_operator.cluster import foreign_policy
from tuning_operator.cluster.holdings import asked_for

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
    kinds: list[str] | None = Field(
        None,
        description="What trials may be besides Jobs, such as `JobSet.jobset.x-k8s.io`. Where images, volumes or "
        "accelerators are restricted, a kind that makes pods which are not in its objects must be named here.",
    )
    queues: list[str] | None = Field(None, description="Queues of Kueue that their Jobs must be in.")
    max_parallel: int | None = Field(None, ge=1, description="Trials at once of all studies of the namespace.")
    max_accelerators: int | None = Field(None, ge=1, description="Accelerators at once of all of them.")


class Policy(Resource):
    """The whole file."""

    max_accelerators: int | None = Field(None, ge=1, description="Accelerators at once of all namespaces together.")
    default: Rules = Field(default_factory=Rules, description="For every namespace.")
    namespaces: dict[str, Rules] = Field(default_factory=dict, description="What is different in some.")

    def capped(self, namespace: str) -> bool:
        """Whether the accelerators of a namespace's trials are counted."""
        return self.max_accelerators is not None or self.of(namespace).max_accelerators is not None

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


def violation(job: Object, rules: Rules, *, namespace: str, accelerator: Accelerator, most: int | None) -> str | None:
    """The first rule that a trial's Job or other object breaks, in words for whoever wrote its study.

    `most`: what a trial of the study is counted as, where it is limited how many accelerators are held at once.
    """
    checks: list[tuple[str, str, Sequence[str] | None]] = []
    kind = foreign_policy.kind_of(job)
    if (kind.group, kind.kind) == JOB:
        pod = job["spec"]["template"]["spec"]
        held = 0 if most is None else asked_for(job, accelerator.resource)
        if most is not None and held > most:
            return _undeclared(accelerator, f"its pods ask for {held}", namespace=namespace)
        checks += [("images", str(each.get("image", "")), rules.images) for each in _containers(pod)]
        checks += [("volumes", kind, rules.volumes) for kind in _volume_kinds(pod)]
    else:
        if broken := _foreign(job, rules, namespace=namespace, accelerator=accelerator, capped=most is not None):
            return broken
        checks += [("images", image, rules.images) for image in foreign_policy.images(job)]
        checks += [("volumes", kind, rules.volumes) for kind in foreign_policy.volume_kinds(job)]
    queue = (job["metadata"].get("labels") or {}).get(names.LABEL_QUEUE, "")
    checks.append(("queues", queue, rules.queues))
    for field, value, allowed in checks:
        if allowed is not None and not any(fnmatchcase(value, pattern) for pattern in allowed):
            return (
                f"spec.trial.template: {value or 'none'!r} is not allowed by the policy of namespace {namespace!r} "
                f"({field}: {', '.join(allowed) or 'none'}): use what is, or ask the administrator"
            )
    return None


def _foreign(body: Object, rules: Rules, *, namespace: str, accelerator: Accelerator, capped: bool) -> str | None:
    kind = foreign_policy.kind_of(body)
    named = rules.kinds is not None and any(fnmatchcase(kind.full, pattern) for pattern in rules.kinds)
    if rules.kinds is not None and not named:
        return (
            f"spec.trial.template.kind: {kind.full!r} is not allowed by the policy of namespace {namespace!r} "
            f"(kinds: {', '.join(rules.kinds) or 'none'}): use what is, or ask the administrator"
        )
    restricted = rules.images is not None or rules.volumes is not None or capped
    if restricted and not named and not foreign_policy.whole(body):
        return (
            f"spec.trial.template.kind: {kind.full!r} makes pods that are not written in its object, and the policy of "
            f"namespace {namespace!r} restricts pods: use another kind, or ask the administrator to name it among kinds"
        )
    if capped and foreign_policy.whole(body):
        held = foreign_policy.accelerators(body, accelerator.resource)
        if held is None or held > accelerator.count:
            asked = "an unknown number" if held is None else held
            return _undeclared(accelerator, f"the pods of the {kind.kind} ask for {asked}", namespace=namespace)
    return None


def _undeclared(accelerator: Accelerator, asked: str, *, namespace: str) -> str:
    return (
        f"spec.trial.accelerator.count: {accelerator.count}: {asked} of {accelerator.resource}, and the policy of "
        f"namespace {namespace!r} counts them: write the number of all pods together"
    )


def _containers(pod: Object) -> list[Object]:
    return [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]


def _volume_kinds(pod: Object) -> Iterator[str]:
    for volume in pod.get("volumes") or ():
        yield next((key for key in volume if key != "name"), "emptyDir")
