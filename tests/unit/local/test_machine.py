import pytest

from tuning_operator.local.machine import GpuPool, Machine, devices, this_machine, threads_environment

LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa)
  MIG 1g.5gb      Device  0: (UUID: MIG-a1)
  MIG 1g.5gb      Device  1: (UUID: MIG-a2)
GPU 1: NVIDIA H200 (UUID: GPU-bb)
"""


def test_a_gpu_cut_into_mig_devices_counts_as_those() -> None:
    assert devices(LISTING) == ("MIG-a1", "MIG-a2", "GPU-bb")


@pytest.mark.parametrize(
    ("visible", "want"),
    [
        pytest.param("", (), id="none"),
        pytest.param("-1", (), id="switched off"),
        pytest.param("0,2", ("0", "2"), id="two of them"),
        pytest.param("MIG-a1", ("MIG-a1",), id="a MIG device"),
    ],
)
def test_only_the_gpus_a_person_left_visible_are_used(visible: str, want: tuple[str, ...]) -> None:
    assert this_machine({"CUDA_VISIBLE_DEVICES": visible}).gpus == want


@pytest.mark.parametrize(
    ("machine", "wanted", "parallel"),
    [
        pytest.param(Machine(4), 1, 4, id="without GPUs, one trial a core"),
        pytest.param(Machine(16, ("0", "1")), 1, 2, id="one trial a GPU"),
        pytest.param(Machine(16, ("0", "1")), 2, 1, id="two GPUs each"),
        pytest.param(Machine(16, ("0", "1")), 8, 1, id="more wanted than there are: all of them"),
        pytest.param(Machine(16, ("0", "1")), 0, 16, id="trials that want no GPU"),
        pytest.param(Machine(2, ("0", "1", "2")), 1, 2, id="no more trials than cores"),
    ],
)
def test_how_many_trials_a_machine_carries_at_once(machine: Machine, wanted: int, parallel: int) -> None:
    assert machine.most_parallel(wanted) == parallel


def test_cores_are_split_between_trials_unless_a_person_did() -> None:
    assert threads_environment(8, 3, {})["OMP_NUM_THREADS"] == "2"
    assert threads_environment(2, 8, {})["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in threads_environment(8, 3, {"OMP_NUM_THREADS": "5"})


def test_a_gpu_belongs_to_one_attempt_as_long_as_there_are_enough() -> None:
    pool = GpuPool(("0", "1", "2"))
    pool.keep("earlier", ("1",))
    assert pool.take("a", 2) == ("0", "2")
    pool.release("earlier")
    assert pool.take("b", 1) == ("1",)


def test_more_trials_than_gpus_share_them_evenly() -> None:
    pool = GpuPool(("0", "1"))
    assert [pool.take(owner, 1) for owner in "abcd"] == [("0",), ("1",), ("0",), ("1",)]
