"""`metrics.source: Logs` in local runs: programs that only print, and never heard of us."""

from pathlib import Path

from tests.local.studies import AStudy, tuning

KERAS = r"""
for epoch in 1 2 3; do
  echo "Epoch $epoch/3"
  awk -v x="$TUNING_PARAM_X" -v e="$epoch" \
    'BEGIN { printf "1/2 loss: 99\r2/2 - 1s - loss: %.9g - acc: 0.5\n", (x - 1) ^ 2 + 3 - e }'
done
"""


def a_study(directory: Path, **more: object) -> AStudy:
    return AStudy(directory, script=KERAS, more={"metrics": {"logs": {}}, **more})


def test_what_a_program_prints_is_its_result(tmp_path: Path) -> None:
    study = a_study(tmp_path).write()
    done = tuning(tmp_path, "run", study, "--output", "json")
    assert done.code == 0, done.err
    for trial in done.json["trials"]:
        result = trial["status"]["result"]
        assert abs(result["values"]["loss"] - (trial["spec"]["parameters"]["x"] - 1) ** 2) < 1e-6
        assert result["step"] == 3
        assert "lastScrapeAgeSeconds" not in result


def test_the_last_line_needs_no_line_end(tmp_path: Path) -> None:
    study = a_study(tmp_path).with_script("printf 'loss=0.5'").write()
    done = tuning(tmp_path, "run", study, "--output", "json")
    assert {trial["status"]["result"]["values"]["loss"] for trial in done.json["trials"]} == {0.5}


def test_a_program_that_prints_no_value_failed_and_it_is_said_why(tmp_path: Path) -> None:
    study = a_study(tmp_path).with_script("echo 'val_loss=1'").with_limits(trials=1, failures=0).write()
    done = tuning(tmp_path, "run", study, "--output", "json")
    assert done.code == 1
    (trial,) = done.json["trials"]
    assert trial["status"]["result"]["reason"] == "MetricsUnavailable"
    assert "loss was not among its values" in trial["status"]["result"]["message"]
