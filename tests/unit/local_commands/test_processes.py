"""Processes of the local cloud: started, stopped, interrupted, found again."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local import keep, processes, run
from local.cloud import LocalCloud
from local.processes import LocalCloudError
from tests.unit.local_commands.commands import carried_out


def test_down_stops_what_up_started_and_nothing_else(
    state: Path,
    left_behind: Callable[..., list[subprocess.Popen[bytes]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    of_up = left_behind("up", "ministack", "serving")
    of_run = left_behind("run", "ministack", "serving")
    assert carried_out(keep, "down") == 0
    assert carried_out(keep, "down") == 0
    assert capsys.readouterr().out.splitlines() == [
        "The local cloud is stopped.",
        "The local cloud was not running.",
    ]
    assert not any(processes.is_running(process.pid) for process in of_up)
    assert all(process.poll() is None for process in of_run)


def test_clean_stops_every_local_cloud(
    left_behind: Callable[..., list[subprocess.Popen[bytes]]], capsys: pytest.CaptureFixture[str]
) -> None:
    started = left_behind("up", "ministack", "serving") + left_behind("drill", "serving")
    processes.main()
    assert not any(processes.is_running(process.pid) for process in started)
    assert capsys.readouterr().out.splitlines() == [
        "stopped the local cloud of `make drill`",
        "stopped the local cloud of `make up`",
    ]


@pytest.mark.parametrize("names", [["ministack"], ["serving"], ["ministack", "serving"]])
def test_a_cloud_of_which_one_process_died_is_restarted(
    left_behind: Callable[..., list[subprocess.Popen[bytes]]],
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def start(_: LocalCloud) -> None:
        raise LocalCloudError("started anew")

    monkeypatch.setattr(LocalCloud, "start", start)
    started = left_behind("up", *names)  # they do not respond
    assert carried_out(keep, "up") == 1
    assert capsys.readouterr().out.splitlines() == [
        "stopping what an earlier `make up` left running",
        "Stopped: started anew",
    ]
    assert not any(processes.is_running(process.pid) for process in started)


def test_a_cloud_that_is_up_is_kept_and_its_commands_are_shown_again(
    left_behind: Callable[..., list[subprocess.Popen[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = dict.fromkeys(
        (
            *("PhotosBucketName", "PredictionsTableName", "OrdersTableName", "EventBusName"),
            *("ClassifyPhotoStateMachineArn", "FunctionsLogGroupName"),
            *("CourierPageUrl", "UserPoolId"),
        ),
        "name",
    )
    monkeypatch.setattr(LocalCloud, "is_healthy", lambda _: True)
    monkeypatch.setattr(LocalCloud, "outputs", lambda _: outputs)
    monkeypatch.setattr(
        keep, "accounts_of", lambda *_: ["  anna (courier)  secret", "  max (manager)  secret"]
    )
    started = left_behind("up", "ministack", "serving")
    assert carried_out(keep, "up") == 0
    printed = capsys.readouterr().out
    assert "\n  anna (courier)  secret\n  max (manager)  secret\n" in printed
    assert "each reload\nasks for the password again" in printed
    assert "is up already" in printed
    other = "up", "--use-case", "scones"
    assert carried_out(keep, *other) == 1
    assert "another local cloud is up (vehicles, ports " in capsys.readouterr().out
    assert "export AWS_ENDPOINT_URL=https://127.0.0.1:" in printed
    assert all(process.poll() is None for process in started)


def test_a_process_id_that_another_program_has_by_now_is_ignored(state: Path) -> None:
    (state / "up").mkdir()
    record = {"cloud_port": 1, "serving_port": 2, "pids": {"ministack": os.getpid()}}
    (state / "up" / processes.RECORD).write_text(json.dumps(record))
    assert LocalCloud.find(state / "up") is None


def test_two_commands_do_not_share_a_folder(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with processes.sole_use(state / "run"):
        assert carried_out(run) == 1
        assert "`make run` is running in this folder" in capsys.readouterr().out
        assert carried_out(keep, "down") == 0  # `make up` is another


def test_clean_changes_nothing_while_a_command_runs(
    state: Path,
    left_behind: Callable[..., list[subprocess.Popen[bytes]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    [started] = left_behind("drill", "serving")
    with processes.sole_use(state / "run"):
        assert processes.main() == 1
    assert "`make run` is running in this folder" in capsys.readouterr().err
    assert started.poll() is None


def test_ctrl_c_waits_until_a_new_process_is_recorded() -> None:
    steps = []

    def start() -> None:
        with processes.uninterrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            steps.append("recorded")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert steps == ["recorded"]


def test_a_second_ctrl_c_does_not_interrupt_the_shutdown(
    left_behind: Callable[..., list[subprocess.Popen[bytes]]],
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = left_behind("up", "ministack", "serving")
    stop = processes.stop

    def interrupted(pids: dict[str, int]) -> None:
        signal.raise_signal(signal.SIGINT)
        stop(pids)

    monkeypatch.setattr(processes, "stop", interrupted)
    found = LocalCloud.find(state / "up")
    assert found
    with pytest.raises(KeyboardInterrupt):
        found.stop()
    assert not any(processes.is_running(process.pid) for process in started)
