"""The Job of one attempt: what the template says, what the contract promises, what keeps the promises."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cluster.builders import a_spec, a_study
from tuning_operator.api.trial import Role
from tuning_operator.cluster import rendezvous
from tuning_operator.cluster.jobs import JobSettings, job_for, owner_reference
from tuning_operator.core.model import Replicate, Study, Trial
from tuning_operator.core.naming import job_name, trial_name
from tuning_operator.core.templates import TemplateError, fill, merged
from tuning_operator.search.types import Suggestion

QUEUE, PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
SETTINGS = JobSettings("trainer:1")
OWNER = owner_reference("TuningTrial", name="t", uid="trial-uid")
PARAMETERS: dict[str, Any] = {"lr": 0.01, "optimizer.name": "sgd", "gpus": 2, "flag": True, "note": "$(HOME) costs $5"}


def a_job(study: Study, **changes: Any) -> dict[str, Any]:
    """`role`, `parameters`, `parent` and the number of `replicates` done change the trial, `attempt` its attempt."""
    suggestion = Suggestion(changes.get("parameters", PARAMETERS), "TPE", 0, parent=changes.get("parent"))
    done = (Replicate({"loss": 1.0}),) * changes.get("replicates", 0)
    trial = Trial(3, changes.get("role", Role.SEARCH), suggestion, created_at=0.0, replicates=done)
    return job_for(study, trial, attempt=changes.get("attempt", 1), owner=OWNER, settings=SETTINGS)


def templated(pod: dict[str, Any] | None = None, **trial: Any) -> Study:
    template: dict[str, Any] = {"spec": {"template": {"spec": pod or {"containers": [{"name": "main", "image": "x"}]}}}}
    return a_study(trial={"template": template, **trial})


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def env_of(job: dict[str, Any], container: int = 0) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in pod_of(job)["containers"][container]["env"]}


def test_queue_and_priority_come_from_the_study_or_from_the_template() -> None:
    study = replace(templated(), labels={QUEUE: "team", PRIORITY: "low", "app": "x"})
    job = a_job(study)
    assert {name: job["metadata"]["labels"].get(name) for name in (QUEUE, PRIORITY)} == {QUEUE: "team", PRIORITY: "low"}
    assert "app" not in job["metadata"]["labels"]
    assert "suspend" not in job["spec"]
    assert QUEUE not in job["spec"]["template"]["metadata"]["labels"]
    study.spec.trial.template.update(metadata={"labels": {QUEUE: "mine"}})  # type: ignore[union-attr]
    assert a_job(study)["metadata"]["labels"][QUEUE] == "mine"


def test_an_exit_code_fails_no_job_that_is_suspended() -> None:
    """A failed pod fails its Job by the backoff limit; a rule on exit codes would match a suspended Job's pods, too."""
    spec = a_job(templated())["spec"]
    assert spec["backoffLimit"] == 0
    assert not any("onExitCodes" in rule for rule in spec["podFailurePolicy"]["rules"])


def test_names_owner_and_labels_are_ours_whatever_the_template_says() -> None:
    study = templated()
    study.spec.trial.template.update(metadata={"name": "mine", "labels": {"team": "a", "tuning.study/trial": "9"}})  # type: ignore[union-attr]
    job = a_job(study)
    trial = trial_name("digits", study.uid, 3)
    assert job["metadata"]["name"] == job_name(trial, 1)
    assert job["metadata"]["namespace"] == "ns"
    assert job["metadata"]["ownerReferences"] == [OWNER]
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        assert labels["tuning.study/study-uid"] == study.uid
        assert (labels["tuning.study/trial"], labels["tuning.study/attempt"]) == ("3", "1")
    assert job["metadata"]["labels"]["team"] == "a"


def test_a_job_is_one_attempt() -> None:
    job = a_job(templated())
    assert {
        key: job["spec"][key] for key in ("backoffLimit", "parallelism", "completions", "podReplacementPolicy")
    } == {
        "backoffLimit": 0,
        "parallelism": 1,
        "completions": 1,
        "podReplacementPolicy": "Failed",
    }
    assert pod_of(job)["restartPolicy"] == "Never"


def test_parameters_arrive_as_json_and_one_by_one_and_mean_only_themselves() -> None:
    env = env_of(a_job(templated()))
    assert json.loads(env["TUNING_PARAMETERS"].replace("$$", "$")) == PARAMETERS
    assert env["TUNING_PARAM_LR"] == "0.01"
    assert env["TUNING_PARAM_OPTIMIZER_NAME"] == "sgd"
    assert (env["TUNING_PARAM_GPUS"], env["TUNING_PARAM_FLAG"]) == ("2", "true")
    assert env["TUNING_PARAM_NOTE"] == "$$(HOME) costs $$5"
    assert (env["TUNING_TRIAL_NUMBER"], env["TUNING_ATTEMPT"], env["TUNING_ROLE"]) == ("3", "1", "Search")
    assert json.loads(env["TUNING_OBJECTIVES"])[0] == {"metric": "loss", "goal": "Minimize", "summarize": "Last"}
    assert env["TUNING_CHECKPOINT_DIR"] == "/checkpoint"


def test_the_templates_own_variables_stay_and_may_refer_to_ours() -> None:
    own = {"name": "RATE", "value": "$(TUNING_PARAM_LR)"}
    container = {"name": "main", "image": "x", "env": [own, {"name": "TUNING_METRICS_PORT", "value": "1"}]}
    job = a_job(templated({"containers": [container]}))
    names = [entry["name"] for entry in pod_of(job)["containers"][0]["env"]]
    assert names.index("TUNING_PARAM_LR") < names.index("RATE")
    assert names.count("TUNING_METRICS_PORT") == 1
    assert env_of(job)["TUNING_METRICS_PORT"] == "1"


def test_every_container_knows_the_parameters_the_first_one_has_the_accelerator() -> None:
    job = a_job(templated({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}))
    assert env_of(job, 1)["TUNING_PARAM_LR"] == "0.01"
    first, second = pod_of(job)["containers"]
    assert first["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert "resources" not in second


def test_an_accelerator_of_another_kind_or_none_or_the_templates_own() -> None:
    amd = a_job(templated(accelerator={"resource": "amd.com/gpu", "count": 2}))
    assert pod_of(amd)["containers"][0]["resources"]["limits"] == {"amd.com/gpu": 2}
    none = a_job(templated(accelerator={"count": 0}))
    assert "resources" not in pod_of(none)["containers"][0]
    own = {"name": "m", "image": "x", "resources": {"limits": {"nvidia.com/gpu": 4}}}
    assert pod_of(a_job(templated({"containers": [own]})))["containers"][0]["resources"]["limits"] == {
        "nvidia.com/gpu": 4
    }


def test_bound_parameters_fill_fields_with_their_types() -> None:
    base = "/spec/template/spec/containers/0"
    study = templated(
        bind=[
            {"parameter": "gpus", "to": f"{base}/resources/limits/nvidia.com~1gpu"},
            {"parameter": "note", "to": f"{base}/args/-"},
            {"parameter": "inactive", "to": f"{base}/image"},
        ]
    )
    study.spec.trial.template["spec"]["template"]["spec"]["containers"][0]["args"] = ["train"]  # type: ignore[index]
    container = pod_of(a_job(study))["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert container["args"] == ["train", PARAMETERS["note"]]
    assert container["image"] == "x"


@pytest.mark.parametrize(
    "pointer", ["/spec/template/spec/containers/7/image", "/spec/template/spec/containers/x/image"]
)
def test_a_pointer_that_leads_nowhere_says_so(pointer: str) -> None:
    with pytest.raises(TemplateError, match=r"spec\.trial\.bind"):
        a_job(templated(bind=[{"parameter": "lr", "to": pointer}]))


@pytest.mark.parametrize("pod", [{"containers": ["main"]}, {"containers": {"main": {}}}, "x", {"containers": [[]]}])
def test_a_template_without_the_shape_of_a_job_says_so(pod: Any) -> None:
    study = templated()
    study.spec.trial.template["spec"]["template"]["spec"] = pod  # type: ignore[index]
    with pytest.raises(TemplateError, match="not shaped like a Job"):
        a_job(study)


def test_the_trainer_runs_restricted() -> None:
    pod = pod_of(a_job(a_study(trial={"trainer": {"epochs": 3}})))
    container = pod["containers"][0]
    assert container["image"] == "trainer:1"
    assert json.loads({e["name"]: e["value"] for e in container["env"]}["TUNING_TRAINER"]) == {"epochs": 3}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False,
    }  # fmt: skip
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/dev/shm", "/checkpoint"}


def test_a_template_is_merged_over_the_trainers_job() -> None:
    pod = {
        "containers": [{"name": "anything", "resources": {"limits": {"memory": "8Gi"}}, "volumeMounts": [
            {"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "nodeSelector": {"gpu": "a100"},
    }  # fmt: skip
    study = a_study(trial={"trainer": {}, "template": {"spec": {"template": {"spec": pod}}}})
    found = pod_of(a_job(study))
    (container,) = found["containers"]
    assert (container["name"], container["image"]) == ("trial", "trainer:1")
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 1}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/dev/shm", "/data", "/checkpoint"}
    assert {volume["name"] for volume in found["volumes"]} == {"tmp", "shm", "data", "tuning-checkpoint"}
    assert found["nodeSelector"] == {"gpu": "a100"}


def test_checkpoints_are_a_folder_of_the_claim_for_each_trial() -> None:
    study = a_study(trial={"trainer": {}, "checkpoints": {"claimName": "models"}})
    pod = pod_of(a_job(study))
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == "/checkpoint"]
    assert mount["subPath"] == trial_name("digits", study.uid, 3)
    assert {"name": "tuning-checkpoint", "persistentVolumeClaim": {"claimName": "models"}} in pod["volumes"]
    assert pod["securityContext"]["fsGroup"] == 65532


def test_the_timeout_counts_on_the_pod_so_that_waiting_is_free() -> None:
    job = a_job(templated(timeout="1h30m"))
    assert pod_of(job)["activeDeadlineSeconds"] == 5400
    assert "activeDeadlineSeconds" not in job["spec"]


def test_the_final_run_is_told_what_final_means() -> None:
    study = a_study(final={"retrain": True}, trial={"trainer": {}})
    env = {e["name"]: e["value"] for e in pod_of(a_job(study, role=Role.FINAL))["containers"][0]["env"]}
    assert json.loads(env["TUNING_FINAL"])["retrain"] is True
    assert env["TUNING_ROLE"] == "Final"


def test_the_users_template_is_never_changed_and_the_job_is_small() -> None:
    study = templated()
    before = copy.deepcopy(study.spec.trial.template)
    job = a_job(study)
    assert study.spec.trial.template == before == a_spec()["trial"]["template"]
    assert len(json.dumps(job)) < 4096


def test_merging_lists_and_objects() -> None:
    base = {"a": 1, "o": {"x": 1, "y": 2}, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "l": [1]}
    over = {"o": {"y": None, "z": 3}, "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}], "l": [2]}
    assert merged(base, over) == {
        "a": 1,
        "o": {"x": 1, "z": 3},
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
        "l": [2],
    }


def test_a_pointer_makes_the_objects_on_its_way() -> None:
    document: dict[str, Any] = {}
    fill(document, "/a/b~1c/d", 5)
    assert document == {"a": {"b/c": {"d": 5}}}
    with pytest.raises(TemplateError, match="neither an object nor a list"):
        fill({"a": 1}, "/a/b/c", 5)


CLAIM = {"trainer": {}, "checkpoints": {"claimName": "models"}}


def mounts_of(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["mountPath"]: mount for mount in pod_of(job)["containers"][0]["volumeMounts"]}


def test_a_member_of_a_population_sees_its_parents_folder_and_cannot_change_it() -> None:
    study = a_study(trial=CLAIM, scheduler={"name": "PBT"}, fidelity={"max": 8, "min": 2})
    job = a_job(study, parent=1)

    parent = mounts_of(job)["/parent"]
    assert parent == {
        "name": "tuning-checkpoint", "mountPath": "/parent", "subPath": trial_name("digits", study.uid, 1),
        "readOnly": True,
    }  # fmt: skip
    assert env_of(job)["TUNING_PARENT_DIR"] == "/parent"
    assert [volume["name"] for volume in pod_of(job)["volumes"]].count("tuning-checkpoint") == 1


@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        pytest.param({"trial": CLAIM, "scheduler": {"name": "PBT"}}, {}, id="of the first generation"),
        pytest.param({"trial": {"trainer": {}}, "scheduler": {"name": "PBT"}}, {"parent": 1}, id="without a claim"),
        pytest.param({"trial": CLAIM}, {"parent": 1}, id="a parent of genes only"),
        pytest.param(
            {"trial": CLAIM, "scheduler": {"name": "PBT"}}, {"parent": 1, "role": Role.CONFIRM}, id="a further run"
        ),
    ],
)
def test_others_begin_with_nothing(spec: dict[str, Any], changes: dict[str, Any]) -> None:
    job = a_job(a_study(**spec, fidelity={"max": 8, "min": 2}), **changes)
    assert "/parent" not in mounts_of(job)
    assert "TUNING_PARENT_DIR" not in env_of(job)


def test_every_attempt_of_a_trial_has_the_same_folder() -> None:
    study = a_study(trial=CLAIM)
    first, second = (mounts_of(a_job(study, attempt=attempt))["/checkpoint"]["subPath"] for attempt in (0, 5))
    assert first == second


def test_every_replicate_begins_with_a_folder_of_its_own() -> None:
    study = a_study(trial=CLAIM | {"replicates": {"count": 3}})
    jobs = [a_job(study, attempt=done, replicates=done) for done in (0, 1, 2)]
    assert len({mounts_of(job)["/checkpoint"]["subPath"] for job in jobs}) == 3
    assert [env_of(job)["TUNING_REPLICATE"] for job in jobs] == ["0", "1", "2"]


def test_pods_that_train_together_get_names_and_what_torchrun_reads() -> None:
    study = templated(workers=3, accelerator={"count": 1})
    job = a_job(study)
    service = rendezvous.service(study, owner=OWNER)

    assert {key: job["spec"][key] for key in ("completionMode", "parallelism", "completions", "backoffLimit")} == {
        "completionMode": "Indexed", "parallelism": 3, "completions": 3, "backoffLimit": 0,
    }  # fmt: skip
    assert pod_of(job)["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
    env = {entry["name"]: entry for entry in pod_of(job)["containers"][0]["env"]}
    first = f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert (env["MASTER_ADDR"]["value"], env["PET_MASTER_ADDR"]["value"]) == (first, first)
    assert (env["WORLD_SIZE"]["value"], env["PET_NNODES"]["value"], env["PET_NPROC_PER_NODE"]["value"]) == (
        "3",
        "3",
        "1",
    )
    index = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    assert env["RANK"]["valueFrom"] == env["PET_NODE_RANK"]["valueFrom"] == index


def test_a_pod_of_several_processes_leaves_ranks_to_torchrun_and_templates_keep_their_own_words() -> None:
    container = {"name": "main", "image": "x", "env": [{"name": "PET_MASTER_PORT", "value": "1234"}]}
    job = a_job(templated({"containers": [container]}, workers=2, accelerator={"count": 4}))
    env = {entry["name"]: entry.get("value") for entry in pod_of(job)["containers"][0]["env"]}
    assert (env["PET_NPROC_PER_NODE"], env["PET_MASTER_PORT"], env["MASTER_PORT"]) == ("4", "1234", "29500")
    assert not {"RANK", "WORLD_SIZE"} & env.keys()


def test_one_pod_has_nobody_to_find() -> None:
    job = a_job(templated())
    assert "subdomain" not in pod_of(job)
    assert "completionMode" not in job["spec"]
    assert "RANK" not in env_of(job)
