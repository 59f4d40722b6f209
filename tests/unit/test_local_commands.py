"""`make run`, `make up`, `make down` and `make clean` with odd input and in odd situations."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy
from types import ModuleType

import pytest

from local import demo, keep, processes, run
from local.cloud import LocalCloud
from local.command import check_labels
from local.processes import PROJECT, LocalCloudError, free_port
from local.use_cases import UseCase, find_use_case

COMMANDS = [(run, []), (keep, ["up"]), (demo, [])]


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


def carried_out(module: ModuleType, *arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [module.__name__, *arguments])
        status: int = module.main()
        return status


# ── Ports ──


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


# ── Photos ──


@pytest.mark.parametrize(
    ("photos", "problem"),
    [
        ("", "PHOTOS= is empty: give a folder, or leave it out"),
        ("{folder}/none", "there is no folder {folder}/none: give one with PHOTOS="),
        ("{folder}/bike.jpg", "{folder}/bike.jpg is a file: give a folder with PHOTOS="),
        ("{folder}/empty", "there is no file in {folder}/empty: give another folder with PHOTOS="),
    ],
)
def test_a_folder_without_photos_is_refused(
    state: Path, photos: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "bike.jpg").touch()
    (state / "empty").mkdir()
    assert carried_out(run, "--photos", photos.format(folder=state)) == 1
    assert capsys.readouterr().out == f"Stopped: {problem.format(folder=state)}\n"


@pytest.mark.parametrize("locked", ["photos", "photos/deep"])
def test_an_unreadable_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "bike.jpg").touch()
    scan = os.scandir

    def scandir(path: str) -> "os.ScandirIterator[str]":
        if Path(path) == tmp_path / locked:  # the tests may run as root, who can read every folder
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(LocalCloudError, match=f"{locked} cannot be read .Permission denied"):
        run.find_photos(str(tmp_path / "photos"))


def test_photos_of_any_depth_and_any_name_are_found(tmp_path: Path) -> None:
    names = ['it\'s 100% "new".jpg', "deep/er/b c.jpg", "z.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(upload.name for upload in run.find_photos(str(tmp_path))) == sorted(names)


# ── What an earlier command left running ──


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


# ── Interrupts ──


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


# ── Output ──

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


# ── make, in a folder with an awkward name ──

AWKWARD = 'with space, it\'s "new"'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of a checkout that make needs, with a Python that prints its arguments."""
    folder = tmp_path / AWKWARD
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "requirements").mkdir()
    for name in ("Makefile", "samconfig.toml"):
        copy(PROJECT / name, folder)
    for requirements in (PROJECT / "requirements").glob("*.txt"):
        copy(requirements, folder / "requirements")
    python = folder / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nfor each; do printf "%s\\n" "$each"; done\n')
    python.chmod(0o755)
    for stamp in ("bin/uv", "run"):
        (folder / ".venv" / stamp).touch()
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("photos", ["", "/photos", "/my photos", "/it's", '/a "b"', "/x; y & z"])
def test_make_run_accepts_a_folder_with_any_name(checkout: Path, photos: str) -> None:
    done = make(checkout, "run", f"PHOTOS={photos}")
    assert done.stdout.splitlines()[:4] == ["-m", "local.run", "--photos", photos], done.stderr


def test_make_without_a_folder_runs_the_sample_photos_of_the_use_case(checkout: Path) -> None:
    done = make(checkout, "run", "USE_CASE=scones")
    assert done.stdout.splitlines() == ["-m", "local.run", "--use-case", "scones"], done.stderr


def test_make_passes_the_use_case_to_the_demo(checkout: Path) -> None:
    done = make(checkout, "demo", "USE_CASE=scones")
    assert done.stdout.splitlines() == ["-m", "local.demo", "--use-case", "scones"], done.stderr


def test_make_names_the_known_use_cases(checkout: Path) -> None:
    for target in ("run", "up", "serve", "deploy", "launch"):
        done = make(checkout, target, "USE_CASE=plants")
        assert done.returncode
        [line] = done.stderr.splitlines()
        assert 'there is no use case "plants": give one of vehicles scones social' in line


@pytest.mark.parametrize("python", ["", "/bin/false", "/no/such/python", "/a b/python"])
@pytest.mark.parametrize("target", ["run", "setup", "test-training"])
def test_a_wrong_version_of_python_creates_no_environment(
    checkout: Path, python: str, target: str
) -> None:
    subprocess.run(["rm", "-r", checkout / ".venv"], check=True)
    done = make(checkout, target, f"PYTHON={python}")
    assert done.returncode
    message = "Python 3.13 is needed: install it, or name it with PYTHON=/path/to/python3.13"
    assert done.stderr.splitlines()[0] == message
    assert not list(checkout.glob(".venv*"))


def test_what_up_prints_can_be_pasted_into_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / AWKWARD
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


@pytest.mark.parametrize(("module", "action"), [(run, []), (keep, ["up"])])
def test_an_unknown_use_case_is_refused_with_the_known_ones(
    state: Path, module: ModuleType, action: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert carried_out(module, *action, "--use-case", "plants") == 1
    assert capsys.readouterr().out == (
        "Stopped: there is no use case 'plants': give one of scones, social, vehicles, or add an "
        "environment to samconfig.toml (docs/use-cases.md)\n"
    )


def test_a_use_case_without_a_model_says_how_to_train_one(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plants = UseCase("plants", "scones-unlimited-plants", {})
    monkeypatch.setattr(run, "find_use_case", lambda _: plants)
    (state / "1.jpg").touch()
    assert carried_out(run, "--photos", str(state), "--use-case", "plants") == 1
    assert capsys.readouterr().out == (
        f"Stopped: {plants.model} has no model: train one with `make train PHOTOS=my/photos "
        "NAME=plants`\n"
    )


@pytest.mark.parametrize(
    ("parameters", "labels"),
    [({"Labels": "loaf,other"}, "loaf,other"), ({}, "bicycle,motorcycle,other")],
)
def test_labels_that_are_not_those_of_the_model_are_refused_before_the_start(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    parameters: dict[str, str],
    labels: str,
) -> None:
    scones = UseCase("scones", "scones-unlimited-scones", parameters)
    monkeypatch.setattr(keep, "find_use_case", lambda _: scones)
    assert carried_out(keep, "up", "--use-case", "scones") == 1
    assert capsys.readouterr().out == (
        f"Stopped: the labels of use case scones are {labels}, those of its model are "
        "broken,intact,other: set Labels=broken,intact,other in samconfig.toml\n"
    )


def test_labels_of_the_model_in_another_order_are_no_problem(state: Path) -> None:
    check_labels(UseCase("scones", "", {"Labels": "other,intact,broken"}))


def test_the_demo_of_another_use_case_is_refused(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        carried_out(demo, "--use-case", "scones")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "Stopped: the demo shows couriers and orders of vehicles only: leave out USE_CASE, or run "
        "`make up USE_CASE=scones`\n"
    )


def test_the_environment_points_only_at_the_local_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    environment = LocalCloud(tmp_path, 4566, 8080).environment()
    assert environment["AWS_ENDPOINT_URL"] == "https://127.0.0.1:4566"
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN"}.isdisjoint(environment)
    assert environment["AWS_CONFIG_FILE"] == os.devnull
