"""Processes of the local cloud: start, recognise and stop them. Standard library only.

python -m local.processes      stop every local cloud of this folder, as `make clean` does
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE_PHOTOS = PROJECT / "local" / "photos"
STATE = PROJECT / ".local"  # one folder for each command that starts a local cloud
RECORD = "cloud.json"  # in such a folder: ports and process ids of what was started
# What the command line of each process contains.
COMMAND_LINES = {"ministack": "local.emulator", "serving": "serving.app --port"}
# MiniStack waits for clients that keep a connection open, and has nothing to save.
STOP_SECONDS = 2
STOP_SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
PORTS = range(1024, 65536)


class LocalCloudError(Exception):
    """Something that a person can fix; the message is one line that says what to do."""


@contextmanager
def sole_use(directory: Path) -> Iterator[None]:
    """Lock the folder of a command while the command runs.

    Raises:
        LocalCloudError: another process holds the lock.

    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalCloudError(
                f"`make {directory.name}` is running in this folder: wait until it has ended, or "
                "interrupt it"
            ) from None
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back STOP_SIGNALS, such as Ctrl-C, until the block has ended.

    Raises:
        KeyboardInterrupt: a signal came in the block.

    """
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


def start(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with its output in a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """Run a command, return its exit status. If interrupted, kill all that it started."""
    process = None
    try:
        with uninterrupted():
            process = start(command, log, environment)
        return process.wait()
    except BaseException:
        if process:
            signal_group(process.pid, signal.SIGKILL)
        raise


def stop(processes: Mapping[str, int]) -> None:
    """Stop processes and all that they started: SIGTERM, and after STOP_SECONDS SIGKILL.

    Args:
        processes: leaders of their process groups, by name.

    """
    deadline = time.monotonic() + STOP_SECONDS
    for group in processes.values():
        signal_group(group, signal.SIGTERM)
    for group in processes.values():
        while is_running(group) and time.monotonic() < deadline:
            time.sleep(0.05)
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if there still is one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def is_running(pid: int) -> bool:
    """Whether a process runs, a child of this one or not."""
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    return ended == 0


def is_ours(name: str, pid: int) -> bool:
    """Whether a recorded process id is still that process, not a later one."""
    command = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return COMMAND_LINES[name] in command


def running(directory: Path) -> dict[str, int]:
    """The processes that a command recorded in its folder and that still run, by name."""
    try:
        recorded: dict[str, int] = json.loads((directory / RECORD).read_text())["pids"]
    except FileNotFoundError:
        return {}
    return {name: pid for name, pid in recorded.items() if is_ours(name, pid)}


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """Stop every local cloud of this folder, unless a command is running in it."""
    try:
        with ExitStack() as commands:
            folders = sorted(lock.parent for lock in STATE.glob("*/lock"))
            for folder in folders:
                commands.enter_context(sole_use(folder))
            for folder in folders:
                if found := running(folder):
                    with uninterrupted():
                        stop(found)
                        (folder / RECORD).unlink(missing_ok=True)
                    print(f"stopped the local cloud of `make {folder.name}`")
    except LocalCloudError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
