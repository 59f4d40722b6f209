"""Measure the start of the serving container: from `docker run` to the first response to a photo.

    docker build -t scones-unlimited/serving -f serving/Dockerfile .
    .venv/bin/python -m benchmarks.container_start --rounds 5

Without a Docker engine, as root on Debian (it builds the image as well):

    .venv/bin/python tests/sam_local/engine.py \
        .venv/bin/python -m benchmarks.container_start --build

The image is on this machine. On SageMaker, its transfer comes on top.
"""

import argparse
import os
import statistics
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import docker  # type: ignore[import-untyped]  # docker has no types

REPOSITORY = Path(__file__).parents[1]
IMAGE = "scones-unlimited/serving"
PHOTO = REPOSITORY / "local" / "photos" / "bicycle-courier.jpg"
PATIENCE = 60  # seconds


def main() -> None:
    """Print the seconds of each round, and their median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--build", action="store_true", help="build the image first")
    options = parser.parse_args()
    engine = docker.from_env(timeout=600)
    if options.build:
        base = os.environ.get("SERVING_BASE_IMAGE")
        arguments = {"BASE_IMAGE": base} if base else {}
        engine.images.build(
            path=str(REPOSITORY), dockerfile="serving/Dockerfile", tag=IMAGE, buildargs=arguments
        )
    seconds = [start(engine) for _ in range(options.rounds)]
    print("seconds:", *(f"{each:.2f}" for each in seconds))
    print(f"median: {statistics.median(seconds):.2f}")


def start(engine: docker.DockerClient) -> float:
    """The seconds from the start of a container to its first response."""
    began = time.monotonic()
    container = engine.containers.run(
        IMAGE,
        "serve",
        volumes={str(REPOSITORY / "models" / "vehicles"): {"bind": "/opt/ml/model", "mode": "ro"}},
        ports={"8080/tcp": ("127.0.0.1", 0)},
        read_only=True,
        detach=True,
    )
    try:
        container.reload()
        [binding] = container.ports["8080/tcp"]
        while not responds(int(binding["HostPort"])):
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"no response in {PATIENCE} s: {container.logs().decode()}")
            time.sleep(0.01)
        return time.monotonic() - began
    finally:
        container.remove(force=True)


def responds(port: int) -> bool:
    """Whether the app classifies a photo."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(
            "POST", "/invocations", PHOTO.read_bytes(), {"Content-Type": "image/jpeg"}
        )
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()
