"""Run a command beside a Docker engine that holds the base images the Docker tests start from.

    python tests/sam_local/engine.py pytest tests/sam_local
    python tests/sam_local/engine.py bash

The engine that answers is used. Where none does, root on Debian gets one of its own: installed
with apt, kept in build/docker, stopped at the end. The base images come from their registries;
where these cannot be reached, stand-ins are made of Debian trixie, which has Python 3.13.
"""

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
ENGINE = REPOSITORY / "build" / "docker"
LAMBDA_IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
SERVING_DOCKERFILE = REPOSITORY / "serving" / "Dockerfile"
START_SECONDS = 60
SILENT_SECONDS = 600  # that a step of a build may say nothing
NEEDED = "start a Docker engine that reaches public.ecr.aws, or run this as root on Debian"


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine that answers, else of one that runs as long as this context."""
    client = answering()
    if client is not None:
        say("the Docker engine answers")
        yield client
        return
    if os.geteuid() != 0:
        sys.exit(f"engine: no Docker engine answers: {NEEDED}")
    install("dockerd", "docker.io")
    ENGINE.mkdir(parents=True, exist_ok=True)
    # a socket's path has at most 107 characters: not under build/
    with tempfile.TemporaryDirectory(prefix="docker-", ignore_cleanup_errors=True) as folder:
        os.environ["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
        log = ENGINE.with_suffix(".log")
        # setpriv stops the engine even when this process is killed; a session of its own keeps
        # Ctrl-C from it, so that what runs in it can be removed first
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "TERM", "dockerd"),
                *("--host", os.environ["DOCKER_HOST"], "--pidfile", f"{folder}/docker.pid"),
                *("--data-root", str(ENGINE), "--exec-root", f"{folder}/exec"),
            ],
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while (client := answering()) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"engine: dockerd does not start, {log} says why")
                time.sleep(0.1)
            say(f"started a Docker engine, its log is {log}")
            yield client
        finally:
            process.terminate()
            process.wait()


def answering() -> docker.DockerClient | None:
    try:
        client = docker.from_env(timeout=SILENT_SECONDS)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException):
        return None
    return client


def base_images(client: docker.DockerClient) -> dict[str, str]:
    """The images to start from, as the environment variables that the tests read."""
    default = re.search(r"^ARG BASE_IMAGE=(\S+)", SERVING_DOCKERFILE.read_text(), re.MULTILINE)
    assert default, f"{SERVING_DOCKERFILE} names no BASE_IMAGE"
    return {
        "SERVING_BASE_IMAGE": pulled(client, default[1]) or debian_python(client),
        "LAMBDA_BASE_IMAGE": pulled(client, LAMBDA_IMAGE) or debian_lambda(client),
    }


def pulled(client: docker.DockerClient, image: str) -> str | None:
    """`image`, in the engine, or None where its registry cannot be reached."""
    if not client.images.list(image):
        try:
            client.images.pull(image, platform="linux/amd64")
        except docker.errors.APIError as error:
            say(f"cannot pull {image}, a stand-in takes its place: {error.explanation}")
            return None
    say(f"{image} is there")
    return image


def debian_python(client: docker.DockerClient) -> str:
    """The stand-in for Docker's official Python image: `python` and `pip` live in /usr/local."""
    name = "scones-unlimited/debian-python"
    if client.images.list(name):
        return name
    install("mmdebstrap", "mmdebstrap")
    say(f"making {name}, which takes a minute or two")
    unused = ("doc", "info", "locale", "man")
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        run(
            *("mmdebstrap", "--quiet", "--variant=essential", "--arch=amd64"),
            *("--include=ca-certificates,libstdc++6,python3-venv", "--dpkgopt=force-unsafe-io"),
            *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in unused),
            # what this machine trusts the image trusts: pip may have to pass a proxy
            "--setup-hook=mkdir -p $1/usr/local/share/ca-certificates",
            "--setup-hook=find /usr/local/share/ca-certificates -name '*.crt'"
            " -exec cp -t $1/usr/local/share/ca-certificates {} + || true",
            "--customize-hook=chroot $1 python3 -m venv /usr/local",
            *("trixie", archive.name),
        )
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        client.api.import_image(archive.name, repository=name, changes=[f"ENV PATH={path}"])
    say(f"made {name}")
    return name


def debian_lambda(client: docker.DockerClient) -> str:
    """The stand-in for AWS's Lambda image: its runtime interface client started its way."""
    name = "scones-unlimited/debian-lambda"
    versions = {"BOTO3_VERSION": importlib.metadata.version("boto3")}
    build(
        client,
        name,
        path=str(HERE),
        dockerfile="lambda.Dockerfile",
        buildargs=versions | {"BASE_IMAGE": debian_python(client)},
    )
    say(f"made {name}")
    return name


def build(client: docker.DockerClient, name: str, **options: Any) -> None:
    """Build an image. Ends this program with the last of the build's output if that fails."""
    try:
        client.images.build(tag=name, rm=True, platform="linux/amd64", **options)
    except docker.errors.BuildError as error:
        output = "".join(line.get("stream", "") for line in error.build_log)
        sys.exit(f"engine: cannot build {name}: {error}\n{output[-2000:]}")


def install(program: str, package: str) -> None:
    """Install Debian's package unless the program is there."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"engine: there is no {program}: {NEEDED}")
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-qq", "--no-install-recommends", package)
    say(f"installed {package}")


def run(*command: str) -> None:
    """Run a command quietly. Ends this program with its last line if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        sys.exit(f"engine: {command[0]} failed ({done.returncode}): {last}")


def say(what: str) -> None:
    print(f"engine: {time.monotonic() - STARTED:5.1f} s  {what}", flush=True)


def main() -> int:
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    # the command hears Ctrl-C itself; the engine stops after it
    with engine() as client:
        environment = {**os.environ, **base_images(client)}
        command = subprocess.Popen(sys.argv[1:], env=environment)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: command.terminate())
        return command.wait()


STARTED = time.monotonic()

if __name__ == "__main__":
    sys.exit(main())
