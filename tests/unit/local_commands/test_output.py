"""What the commands print: for a shell, for a closed pipe, for the AWS CLI."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local import keep
from local.cloud import LocalCloud
from local.processes import PROJECT
from local.use_cases import find_use_case
from tests.unit.local_commands.commands import AWKWARD_NAME

DOWN = """
import pathlib, sys
from local import keep
keep.STATE = pathlib.Path(sys.argv.pop(1))
sys.exit(keep.main())
"""


def test_a_closed_pipe_shows_no_traceback(tmp_path: Path) -> None:
    """As in `make up | head`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", DOWN, tmp_path, "down"],
        cwd=PROJECT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_what_up_prints_can_be_pasted_into_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / AWKWARD_NAME
    folder.mkdir()
    monkeypatch.setattr(keep, "PROJECT", folder)
    monkeypatch.setattr(keep, "accounts_of", lambda *_: [])
    up = LocalCloud(folder / ".local" / "up", 4566, 8080)
    outputs = dict.fromkeys(
        (
            *("PhotosBucketName", "PredictionsTableName", "OrdersTableName", "EventBusName"),
            *("ClassifyPhotoStateMachineArn", "FunctionsLogGroupName"),
            *("CourierPageUrl", "UserPoolId"),
        ),
        "na'me",
    )
    keep.show_commands(up, outputs)
    commands = [line[2:] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    shown = 'aws() { printf "%s\\n" "$@"; }; curl() { :; }; make() { :; }\n'
    script = shown + "\n".join(commands) + '\npwd; echo "$AWS_CA_BUNDLE"\n'
    done = subprocess.run(
        ["sh", "-eu", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    lines = done.stdout.splitlines()
    assert lines[-2:] == [str(folder), str(up.certificate)]
    [entry] = json.loads(lines[lines.index("--entries") + 1])
    assert entry["EventBusName"] == "na'me"
    assert lines.count("na'me") == 4  # two tables, the workflow, the log group


def test_up_prints_no_orders_for_a_use_case_without_dispatch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keep, "accounts_of", lambda *_: [])
    up = LocalCloud(tmp_path, 4566, 8080, use_case=find_use_case("scones"))
    outputs = dict.fromkeys(
        (
            *("PhotosBucketName", "PredictionsTableName", "EventBusName", "CourierPageUrl"),
            *("ClassifyPhotoStateMachineArn", "FunctionsLogGroupName", "UserPoolId"),
        ),
        "name",
    )
    keep.show_commands(up, outputs)
    printed = capsys.readouterr().out
    assert "aws s3 cp local/samples/scones/broken-1.jpg s3://name/uploads/42/" in printed
    assert "aws sns list-topics" in printed
    assert "  make review USE_CASE=scones\n" in printed
    assert "  make events USE_CASE=scones\n" in printed
    assert "put-events" not in printed


def test_the_environment_points_only_at_the_local_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    environment = LocalCloud(tmp_path, 4566, 8080).environment()
    assert environment["AWS_ENDPOINT_URL"] == "https://127.0.0.1:4566"
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN"}.isdisjoint(environment)
    assert environment["AWS_CONFIG_FILE"] == os.devnull
