"""Interrupt `make run`, `make up` and `make demo`: no process keeps running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes import PROJECT, RECORD, free_port
from tests.support.waiting import wait_until

# A command, with its state in a folder of the test.
START = """
import pathlib, sys
from local import {module}
{module}.STATE = pathlib.Path(sys.argv.pop(1))
sys.exit({module}.main())
"""

MODULES = {signal.SIGINT: "run", signal.SIGTERM: "keep", signal.SIGHUP: "demo"}


def running(folder: Path) -> dict[int, str]:
    """Command lines of processes with a path of the folder in their environment, by id."""
    found = {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                if os.fsencode(folder) in (process / "environ").read_bytes():
                    found[int(process.name)] = (process / "cmdline").read_text()
            except OSError:
                continue  # it has ended, or is another user's
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["logs/ministack.log", "logs/serving.log", "build.toml"])
def test_an_interrupt_leaves_no_process(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    """Ctrl-C, `kill` and a closed terminal, while MiniStack or the app starts or SAM builds."""
    module = MODULES[number]
    own = tmp_path / ("up" if module == "keep" else module)
    arguments = ["up"] if module == "keep" else []
    arguments += [f"--cloud-port={free_port()}", f"--serving-port={free_port()}"]
    command = subprocess.Popen(
        [sys.executable, "-c", START.format(module=module), tmp_path, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(
            lambda: ((own / moment).exists() and running(own)) or command.poll() is not None, moment
        )
        command.send_signal(number)
        printed, _ = command.communicate(timeout=60)
    except BaseException:
        command.kill()
        for process in running(own):
            os.kill(process, signal.SIGKILL)
        raise
    assert command.returncode == 130, printed
    assert printed.splitlines()[-1].startswith("Interrupted. What this command started is stopped.")
    assert "Traceback" not in printed
    assert not (own / RECORD).exists()
    wait_until(lambda: not running(own), "the end of all processes", lambda: running(own))
