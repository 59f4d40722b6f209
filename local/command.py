"""Shared by the commands of the local cloud: ports as arguments, steps, one-line errors."""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from local.cloud import LocalCloud
from local.processes import PORTS, STOP_SIGNALS, LocalCloudError, sole_use
from local.use_cases import DEFAULT, UseCase


class Parser(argparse.ArgumentParser):
    """A parser that reports wrong arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Report, and exit."""
        self.exit(2, f"Stopped: {message}\n")


def port(text: str) -> int:
    """Parse a port that needs no privileges."""
    if not text.isdecimal() or int(text) not in PORTS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port: give a number from {PORTS.start} to {PORTS.stop - 1}"
        )
    return int(text)


def add_ports(parser: argparse.ArgumentParser) -> None:
    """Add the arguments --cloud-port and --serving-port."""
    parser.add_argument(
        "--cloud-port", type=port, default=4566, help="of MiniStack (default: %(default)s)"
    )
    parser.add_argument(
        "--serving-port", type=port, default=8080, help="of the serving app (default: %(default)s)"
    )


def add_use_case(parser: argparse.ArgumentParser) -> None:
    """Add the argument --use-case."""
    parser.add_argument(
        "--use-case",
        default=DEFAULT,
        help="an environment of samconfig.toml (default: %(default)s)",
    )


class Steps:
    """Prints the steps of a command, and the seconds that each took."""

    def __init__(self, console: Console) -> None:
        """Start to count the seconds."""
        self.console = console
        self.start = time.monotonic()

    @contextlib.contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Show what is being done; at its end, print the seconds that it took."""
        start = time.monotonic()
        with self.console.status(doing):
            yield
        self.console.print(f"{time.monotonic() - start:5.1f} s  {done}", highlight=False)

    def deploy(self, cloud: LocalCloud, **parameters: str) -> dict[str, str]:
        """Build the functions, start the local cloud, deploy the stack; return its outputs.

        `parameters` of the template differ from samconfig.toml's `local`.
        """
        cloud.start()
        with self.step("building the functions", "built the functions"):
            cloud.build(**parameters)
        with self.step("starting the local cloud", "started MiniStack and the serving app"):
            cloud.wait_until_ready()
        with self.step("deploying the stack", "deployed template.yaml"):
            return cloud.deploy(**parameters)


def prepare(cloud: LocalCloud, console: Console) -> None:
    """Stop what a killed command left running in the directory; check the model and the ports.

    Raises:
        LocalCloudError: the use case has no model, or other labels than its model, or a port cannot
            be used.

    """
    name, model = cloud.use_case.name, cloud.use_case.model
    if not (model / "model.onnx").is_file():
        raise LocalCloudError(
            f"{model} has no model: train one with `make train PHOTOS=my/photos NAME={name}`"
        )
    check_labels(cloud.use_case)
    if left := LocalCloud.find(cloud.directory):
        console.print(f"stopping what an earlier `make {cloud.directory.name}` left running")
        left.stop()
    cloud.check_ports()


def check_labels(use_case: UseCase) -> None:
    """Check that the stack knows the labels of the model; only their order may differ.

    Raises:
        LocalCloudError: it does not.

    """
    path = use_case.model / "metadata.json"
    labels = json.loads(path.read_text("utf-8"))["labels"]
    if set(use_case.labels) != set(labels):
        raise LocalCloudError(
            f"the labels of use case {use_case.name} are {','.join(use_case.labels)}, those of its "
            f"model are {','.join(labels)}: set Labels={','.join(labels)} in samconfig.toml"
        )


def carry_out(work: Callable[[], int], cloud: LocalCloud, console: Console) -> int:
    """Do the work of a command, report an error in one line, and return the exit status."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        with sole_use(cloud.directory):
            status = work()
            sys.stdout.flush()
            return status
    except LocalCloudError as error:
        problem = f"Stopped: {error}"
    except BrokenPipeError:  # the reader of the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (BotoCoreError, ClientError) as error:
        problem = f"The local cloud failed ({error}): see {cloud.logs}"
    except KeyboardInterrupt:
        console.print(
            f"Interrupted. What this command started is stopped. Logs: {cloud.logs}",
            soft_wrap=True,
        )
        return 130
    console.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    return 1
