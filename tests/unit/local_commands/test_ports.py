"""Ports that nobody can use, or that another program has."""

import socket
from pathlib import Path
from types import ModuleType

import pytest

from local import processes
from local.processes import free_port
from tests.unit.local_commands.commands import COMMANDS, carried_out


@pytest.mark.parametrize("port", ["80000", "0", "-1", "80", "http", ""])
@pytest.mark.parametrize("option", ["--cloud-port", "--serving-port"])
@pytest.mark.parametrize(("module", "action"), COMMANDS)
def test_a_port_that_nobody_can_use_is_refused_at_once(
    state: Path,
    module: ModuleType,
    action: list[str],
    option: str,
    port: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        carried_out(module, *action, f"{option}={port}")
    assert capsys.readouterr().err == (
        f"Stopped: argument {option}: {port!r} is not a port: give a number from 1024 to 65535\n"
    )
    assert list(state.iterdir()) == []


@pytest.mark.parametrize(("module", "action"), COMMANDS)
def test_one_port_for_both_is_refused_at_once(
    state: Path, module: ModuleType, action: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ports = "--cloud-port=4566", "--serving-port=4566"
    assert carried_out(module, *action, *ports) == 1
    assert capsys.readouterr().out == (
        "Stopped: CLOUD_PORT and SERVING_PORT are both 4566: choose two ports\n"
    )


@pytest.mark.parametrize("taken", ["--cloud-port", "--serving-port"])
@pytest.mark.parametrize(("module", "action"), COMMANDS)
def test_a_taken_port_is_found_before_anything_is_changed(
    state: Path,
    module: ModuleType,
    action: list[str],
    taken: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [state / name / "tmp" / "of-a-running-cloud" for name in ("run", "up", "demo")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    ports = {"--cloud-port": free_port(), "--serving-port": free_port()}
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports[taken] = server.getsockname()[1]
        arguments = [f"{option}={port}" for option, port in ports.items()]
        assert carried_out(module, *action, *arguments) == 1
        assert f"Stopped: port {ports[taken]} is taken: stop what uses it" in (
            capsys.readouterr().out
        )
    assert all(file.exists() for file in files)
    assert not list(state.glob(f"*/{processes.RECORD}"))
