"""Examples whose trials are not the shared trainer, in real pods: any image, any program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.testcluster.client import eventually
from tests.testcluster.realnode import RealCluster

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def with_image(example: str, image: str) -> dict[str, Any]:
    """The example with an image that is on the node, and not more trials than show that it works."""
    study: dict[str, Any] = yaml.safe_load((EXAMPLES / example).read_text())
    study["spec"]["trial"]["template"]["spec"]["template"]["spec"]["containers"][0]["image"] = image
    study["spec"]["limits"] |= {"trials": 4}
    return study


@pytest.mark.parametrize(
    ("example", "metric"),
    [
        pytest.param("shell-script.yaml", "loss", id="a shell script that knows nothing of us"),
        pytest.param("python-function.yaml", "error", id="a Python program with the SDK"),
    ],
)
def test_any_program_is_a_trial(
    real_cluster: RealCluster, system: str, trainer_image: str, example: str, metric: str
) -> None:
    namespace = real_cluster.new_namespace("research")
    study = with_image(example, trainer_image)
    real_cluster.apply(study, namespace=namespace)

    def over() -> dict[str, Any] | None:
        status = real_cluster.client.get("tuningstudies", study["metadata"]["name"], namespace).get("status", {})
        return status if status.get("state") in ("Succeeded", "Failed", "Stalled") else None

    status = eventually(over, timeout=180, interval=0.5, what="the end of the study")

    assert status["state"] == "Succeeded", status
    assert status["counts"]["succeeded"] == 4
    assert status["best"]["values"][metric] >= 0
    real_cluster.client.delete("namespaces", namespace)
