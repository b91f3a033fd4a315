"""How the pods of one trial find each other: names of their own, and the variables that torchrun and torch read. Pure.

A headless Service of the study gives every pod of an Indexed Job the name `JOB-INDEX.SERVICE` (KEP-2214). The variables
are those of a torchrun that is started on each node (`PET_*`, its arguments by another way) and, where a pod is one
process, those that torchrun would give to it; other frameworks find in them what they need as well. Whoever starts
processes itself, such as MPI, has `TUNING_WORKERS` and `JOB_COMPLETION_INDEX`.
"""

from typing import Any, Final

from tuning_operator.api import names
from tuning_operator.cluster.seen import INDEX_LABEL
from tuning_operator.core.model import Study
from tuning_operator.core.naming import service_name

PORT: Final = 29500
"""Where the first pod listens; torch's own default."""

Object = dict[str, Any]


def service(study: Study, *, owner: Object) -> Object:
    """The Service that names the pods; they are found before they are ready, as they wait for each other."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(study.name, study.uid),
            "namespace": study.namespace,
            "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_STUDY_UID: study.uid},
            "ownerReferences": [owner],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.LABEL_STUDY_UID: study.uid},
            "ports": [{"name": "rendezvous", "port": PORT}],
        },
    }


def join(pod: Object, *, study: Study, job: str) -> None:
    """Gives the pod its name and its containers the variables; what a template says of these itself stands."""
    subdomain = service_name(study.name, study.uid)
    pod["subdomain"] = subdomain
    for container in pod["containers"]:
        own = container.get("env") or []
        taken = {entry.get("name") for entry in own}
        container["env"] = [e for e in _variables(study, job, subdomain) if e["name"] not in taken] + own


def _variables(study: Study, job: str, subdomain: str) -> list[Object]:
    workers, processes = study.spec.trial.workers, max(1, study.spec.trial.accelerator.count)
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX_LABEL}']"}}
    address, port = f"{job}-0.{subdomain}", str(PORT)
    given: dict[str, str | Object] = {
        "TUNING_WORKERS": str(workers),
        "PET_NNODES": str(workers),
        "PET_NPROC_PER_NODE": str(processes),
        "PET_NODE_RANK": index,
        "PET_MASTER_ADDR": address,
        "PET_MASTER_PORT": port,
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
    }
    if processes == 1:
        given |= {"WORLD_SIZE": str(workers), "RANK": index, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    return [{"name": n, "value": v} if isinstance(v, str) else {"name": n, "valueFrom": v} for n, v in given.items()]
