"""Real processes: what is started, seen, stopped, and found again by a second runner."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tuning_operator.core.model import Run, RunState
from tuning_operator.local.files import AttemptFiles
from tuning_operator.local.machine import GpuPool
from tuning_operator.local.processes import Command, Processes, StartError
from tuning_trial.report import Report

KEY = (0, 0)


class World:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.woken = threading.Semaphore(0)
        self.processes = self.another_runner()

    def another_runner(self) -> Processes:
        return Processes(wake=self.woken.release, clock=time.time, gpus=GpuPool(("7", "8")))

    def files(self, attempt: int = 0) -> AttemptFiles:
        files = AttemptFiles(self.directory / "runs" / "0000", attempt)
        files.prepare()
        return files

    def start(self, script: str, *, grace: float = 10, gpus: int = 0) -> None:
        self.processes.start(KEY, self.command(script, grace=grace, gpus=gpus), self.files())

    def command(self, script: str, *, grace: float = 10, gpus: int = 0) -> Command:
        return Command(("sh", "-c", script), dict(os.environ), self.directory, grace, gpus)

    def run(self, processes: Processes | None = None) -> Run:
        run = (processes or self.processes).run(KEY)
        assert run is not None
        return run

    def end(self, processes: Processes | None = None, seconds: float = 10) -> Run:
        chosen = processes or self.processes
        until = time.time() + seconds
        while time.time() < until:
            chosen.enforce()
            if self.run(chosen).state is RunState.ENDED:
                return self.run(chosen)
            time.sleep(0.01)
        raise AssertionError(f"still {self.run(chosen)}")

    def log(self) -> str:
        return self.files().log.read_text()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    result = World(tmp_path)
    yield result
    result.processes.kill_all()


def wait_for(what: Callable[[], object], seconds: float = 10) -> None:
    until = time.time() + seconds
    while not what():
        assert time.time() < until, "did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("code", [0, 1, 42, 75, 143])
def test_the_exit_code_is_seen_as_it_was(world: World, code: int) -> None:
    world.start(f"echo said; exit {code}")
    run = world.end()
    assert (run.exit_code, run.disrupted, run.reason) == (code, False, "")
    assert world.log() == "said\n"


def test_the_runner_is_woken_the_moment_a_process_ends(world: World) -> None:
    world.start("exec sleep 0.3")
    assert world.woken.acquire(timeout=5)
    run = world.run()
    assert run.ended_at is not None
    assert time.time() - run.ended_at < 0.1


def test_a_process_killed_from_outside_counts_as_128_and_the_signal(world: World) -> None:
    world.start("kill -9 $$")
    assert world.end().exit_code == 137


def test_a_failure_brings_the_end_of_its_log(world: World) -> None:
    world.start("echo one; echo no such data set >&2; exit 1")
    assert world.end().message == "one\nno such data set"


def test_stop_asks_politely_and_waits_for_the_answer(world: World) -> None:
    world.start("trap 'echo saved; exit 143' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: "up" in world.log())
    world.processes.stop(KEY)
    assert world.run().state is RunState.STOPPING
    assert world.end().exit_code == 143
    assert "saved" in world.log()


def test_what_does_not_stop_is_killed_after_its_grace_with_all_its_children(world: World) -> None:
    world.start("trap '' TERM; sleep 60 & echo $!; wait; sleep 60", grace=0.2)
    wait_for(lambda: world.log().strip())
    world.processes.stop(KEY)
    assert world.end().exit_code == 137
    child = int(world.log().strip())
    wait_for(lambda: _gone(child))


def test_children_left_behind_end_with_their_trial(world: World) -> None:
    world.start("sleep 60 & echo $!")
    assert world.end().exit_code == 0
    child = int(world.log().strip())
    wait_for(lambda: _gone(child))


@pytest.mark.parametrize(
    ("argv", "reason", "says"),
    [
        pytest.param(
            ("no-such-program",), "CommandNotFound", "no-such-program: no such program in PATH", id="not in PATH"
        ),
        pytest.param(("./train.sh",), "CommandNotFound", "train.sh: no such program in", id="not beside the study"),
    ],
)
def test_a_command_that_cannot_start_says_why(world: World, argv: tuple[str, ...], reason: str, says: str) -> None:
    with pytest.raises(StartError, match=says) as caught:
        world.processes.start(KEY, Command(argv, dict(os.environ), world.directory), world.files())
    assert caught.value.reason == reason
    assert world.processes.run(KEY) is None
    assert not world.another_runner().find(KEY, world.files())


def test_a_program_named_like_a_word_of_the_shell_is_the_program(world: World) -> None:
    world.processes.start(KEY, Command(("test", "1", "=", "2"), dict(os.environ), world.directory), world.files())
    assert world.end().exit_code == 1


def test_gpus_are_handed_out_and_come_back(world: World) -> None:
    world.start('echo "$CUDA_VISIBLE_DEVICES"', gpus=2)
    world.end()
    assert world.log() == "7,8\n"
    world.processes.start(
        (1, 0), world.command("true", gpus=2), AttemptFiles(_made(world.directory / "runs" / "0001"), 0)
    )


def test_starting_twice_starts_once(world: World) -> None:
    world.start("echo once")
    world.start("echo twice")
    world.end()
    assert world.log() == "once\n"


def test_a_second_runner_finds_a_living_attempt_and_its_exit_code(world: World) -> None:
    world.start("echo up; sleep 0.5; exit 42")
    second = world.another_runner()
    second.start(KEY, world.command("echo never"), world.files())
    assert world.run(second).state is RunState.RUNNING
    assert world.end(second).exit_code == 42
    assert "never" not in world.log()


def test_a_second_runner_can_stop_what_the_first_started(world: World) -> None:
    world.start("echo up; exec sleep 60")
    wait_for(lambda: "up" in world.log())
    second = world.another_runner()
    assert second.find(KEY, world.files())
    second.stop(KEY)
    assert world.end(second).exit_code == 143


def test_an_attempt_that_ended_while_nobody_watched_keeps_its_exit_code(world: World) -> None:
    world.start("exit 44")
    world.end()
    second = world.another_runner()
    assert second.find(KEY, world.files())
    assert world.end(second).exit_code == 44


def test_an_attempt_lost_without_an_exit_code_is_a_disruption(world: World) -> None:
    world.start("echo up; exec sleep 60")
    wait_for(lambda: "up" in world.log())
    world.processes.kill_all()
    world.end()
    second = world.another_runner()
    assert second.find(KEY, world.files())
    run = world.end(second)
    assert (run.disrupted, run.exit_code, run.reason) == (True, None, "Lost")


def test_a_foreign_process_with_the_recorded_pid_is_never_signalled(world: World) -> None:
    world.start("sleep 0.1")
    world.end()
    foreign = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        base = world.files().base
        base.with_name(base.name + ".exit").unlink()
        base.with_name(base.name + ".pid").write_text(str(foreign.pid))
        holder = os.open(base.with_name(base.name + ".lock"), os.O_RDWR)
        lock = world.files().try_lock()  # as if some process of the attempt were alive
        second = world.another_runner()
        assert second.find(KEY, world.files())
        second.stop(KEY)
        second.kill_all()
        time.sleep(0.1)
        assert foreign.poll() is None
        assert lock is not None
        os.close(lock)
        os.close(holder)
        world.end(second)
    finally:
        os.killpg(foreign.pid, signal.SIGKILL)
        foreign.wait()


def _gone(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def test_a_trial_that_wants_no_gpu_sees_none(world: World) -> None:
    world.start('echo "<$CUDA_VISIBLE_DEVICES>"')
    world.end()
    assert world.log() == "<>\n"


def test_a_rung_that_a_report_tells_of_is_news_until_it_was_told(world: World) -> None:
    report = world.files().report
    world.start("exec sleep 600")
    report.write_text(Report(step=1).to_json())
    assert not world.processes.news()
    report.write_text(Report(step=3, rungs={1: {"loss": 2.0}}).to_json())
    assert world.processes.news()
    told = world.run().report
    assert told is not None
    assert told.rungs == {1: {"loss": 2.0}}
    assert not world.processes.news()
    world.processes.kill_all()
    world.end()
