"""Device, threads and compilation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tuning_trainer.config.runtime import Runtime
from tuning_trainer.engine import compiling, device


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("max 100000", None), ("150000 100000", 2), ("50000 100000", 1), ("400000 100000", 4), ("", None), ("a b", None)],
)
def test_the_cpu_limit_of_the_container(tmp_path: Path, text: str, cpus: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert device.cgroup_cpus(file) == cpus
    assert device.cgroup_cpus(tmp_path / "absent") is None


def test_threads_are_as_told_or_what_there_is() -> None:
    assert device.default_threads({"OMP_NUM_THREADS": "3"}) == 3
    assert 1 <= device.default_threads({}) <= device.MAX_DEFAULT_THREADS
    assert device.default_threads({"OMP_NUM_THREADS": "many"}) == device.default_threads({})


@pytest.fixture
def as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("as_before")
def test_what_is_not_deterministic_is_refused_when_told_so() -> None:
    device.choose(Runtime(device="cpu"))
    assert not torch.are_deterministic_algorithms_enabled()
    device.choose(Runtime(device="cpu", deterministic=True, threads=1))
    with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1), accumulate=False)
    assert torch.get_num_threads() == 1


def test_a_model_that_cannot_be_compiled_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from torch._dynamo.exc import Unsupported

    def refuse(module: nn.Module) -> object:
        def call(inputs: torch.Tensor) -> torch.Tensor:
            raise Unsupported("no C++ compiler", "x")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    module = nn.Linear(2, 1)
    model = compiling.compiled(module)
    inputs = torch.ones(3, 2)
    assert torch.equal(model(inputs), module(inputs))
    assert torch.equal(model(inputs), module(inputs))
    assert capsys.readouterr().err.count("torch.compile is not used") == 1


def test_an_error_of_the_model_is_not_hidden_by_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: module)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        compiling.compiled(nn.Linear(2, 1))(torch.ones(3, 5))


def test_a_compiler_that_fails_costs_no_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config, "force_disable_caches", True)
    monkeypatch.setattr(config.cpp, "cxx", ("/nonexistent/c++",))
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    inputs = torch.ones(4, 2)
    assert torch.equal(compiling.compiled(module)(inputs), module(inputs))
    assert "torch.compile is not used: " in capsys.readouterr().err
