"""Local clouds in a folder of the test, and processes that a command left behind."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import demo, keep, processes, run
from local.processes import free_port


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder of the local clouds."""
    before = {number: signal.getsignal(number) for number in processes.STOP_SIGNALS}
    for module in (run, keep, demo, processes):
        monkeypatch.setattr(module, "STATE", tmp_path)
    yield tmp_path
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def left_behind(state: Path) -> Iterator[Callable[..., list[subprocess.Popen[bytes]]]]:
    """Processes of a local cloud, of a command that was killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name_of_command: str, *names: str) -> list[subprocess.Popen[bytes]]:
        sleeper = [sys.executable, "-c", "import signal; signal.pause()"]
        found = {
            name: subprocess.Popen(
                [*sleeper, processes.COMMAND_LINES[name]], start_new_session=True
            )
            for name in names
        }
        started.extend(found.values())
        (state / name_of_command).mkdir(exist_ok=True)
        (state / name_of_command / "lock").touch()
        (state / name_of_command / processes.RECORD).write_text(
            json.dumps(
                {
                    "cloud_port": free_port(),
                    "serving_port": free_port(),
                    "pids": {name: process.pid for name, process in found.items()},
                }
            )
        )
        return list(found.values())

    yield start
    for process in started:
        process.kill()
        process.wait()
