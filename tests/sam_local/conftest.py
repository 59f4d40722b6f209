"""The built functions, the serving container and the local cloud, each where the next reaches it.

The template and the functions are used as they are: what is local reaches them by variables of
the image that the functions run in.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import docker
import docker.errors
import pytest
import requests
from docker.models.containers import Container

from tests.sam_local.engine import SILENT_SECONDS, build
from tests.support.repository import REPOSITORY
from tests.support.tables import schema

BUILD = REPOSITORY / "build" / "sam_local"
MODEL = REPOSITORY / "models" / "vehicles"
PATIENCE = 60  # seconds until a condition that must come is given up

signal.signal(signal.SIGTERM, signal.default_int_handler)  # fixtures are then taken down as well


@dataclass
class Serving:
    """A running serving container."""

    container: Container

    def connect(self) -> HTTPConnection:
        """A connection to the port that is published on loopback."""
        self.container.reload()
        [binding] = self.container.ports["8080/tcp"]
        return HTTPConnection(binding["HostIp"], int(binding["HostPort"]), timeout=PATIENCE)

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """The status and the parsed JSON (None without a body) of an answer."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {"Content-Type": "image/jpeg"} if body else {})
            response = connection.getresponse()
            answer = response.read()
            return response.status, json.loads(answer) if answer else None
        finally:
            connection.close()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, and show the container's log where it does not come."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.container.reload()
            if self.container.status == "exited" or time.monotonic() > deadline:
                pytest.fail(f"the serving container: {self.container.logs().decode()}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it is healthy, as SageMaker asks it."""
        try:
            return self.request("GET", "/ping")[0] == 200
        except OSError:
            return False

    @property
    def container_url(self) -> str:
        """Its URL for other containers."""
        self.container.reload()
        [network] = self.container.attrs["NetworkSettings"]["Networks"].values()
        return f"http://{network['IPAddress']}:8080"


@dataclass
class Cloud:
    """A running MiniStack: its URL for this machine, and for containers."""

    url: str
    container_url: str

    def environment(self) -> dict[str, str]:
        """The variables that point an AWS tool here, and at nothing else."""
        inherited = {name: value for name, value in os.environ.items() if name[:4] != "AWS_"}
        return inherited | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of the local cloud."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def put_photo(self, bucket: str, key: str, photo: bytes) -> None:
        """Put an object into a bucket, which is made where there is none."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=photo)

    def create_table(self, name: str) -> None:
        """A table of the template, under its logical name: so `sam local` resolves a `!Ref`."""
        self.client("dynamodb").create_table(TableName=name, **schema(name))

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            return requests.get(f"{self.url}/_ministack/health", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A sample photo of the project."""
    return (REPOSITORY / "local" / "photos" / "bicycle-courier.jpg").read_bytes()


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """The Docker engine that holds the base images."""
    if "LAMBDA_BASE_IMAGE" in os.environ:
        return docker.from_env(timeout=SILENT_SECONDS)
    reason = "needs Docker and base images: run `make test-sam-local`, which makes them ready"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def start_serving(engine: docker.DockerClient) -> Iterator[Callable[[], Serving]]:
    """Start a serving container as SageMaker does, and stricter: with a read-only file system."""
    image = "scones-unlimited/serving"
    build(
        engine,
        image,
        path=str(REPOSITORY),
        dockerfile="serving/Dockerfile",
        buildargs={"BASE_IMAGE": os.environ["SERVING_BASE_IMAGE"]},
    )
    with ExitStack() as stack:

        def start() -> Serving:
            container = engine.containers.run(
                image,
                "serve",
                volumes={str(MODEL): {"bind": "/opt/ml/model", "mode": "ro"}},
                ports={"8080/tcp": ("127.0.0.1", 0)},
                read_only=True,
                detach=True,
            )
            stack.callback(container.remove, force=True)
            serving = Serving(container)
            serving.wait_until(serving.answers)
            return serving

        yield start


@pytest.fixture(scope="session")
def serving(start_serving: Callable[[], Serving]) -> Serving:
    """The serving container that most tests share."""
    return start_serving()


@pytest.fixture(scope="session")
def host_address(engine: docker.DockerClient) -> str:
    """The address at which containers reach this machine."""
    output: bytes = engine.containers.run(
        os.environ["LAMBDA_BASE_IMAGE"],
        ["-c", "import socket; print(socket.gethostbyname('host.docker.internal'))"],
        entrypoint="python3",
        extra_hosts={"host.docker.internal": "host-gateway"},
        remove=True,
    )
    return output.decode().strip()


@pytest.fixture(scope="session")
def cloud(host_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """MiniStack, IAM enforced, where containers reach it."""
    scratch = str(tmp_path_factory.mktemp("ministack"))
    with socket.socket() as probe:
        try:
            probe.bind((host_address, 0))
        except OSError:  # Docker Desktop passes its own address on to loopback
            probe.bind(("127.0.0.1", 0))
        bind_host, port = probe.getsockname()
    local_cloud = Cloud(f"http://{bind_host}:{port}", f"http://{host_address}:{port}")
    settings = {"AUTH": "true", "BIND_HOST": bind_host, "GATEWAY_PORT": str(port)}
    settings |= {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    settings |= {"TMPDIR": scratch, "STATE_DIR": scratch}
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "ministack.log").open("w") as log:
        process = subprocess.Popen(
            [tool("ministack")],
            cwd=scratch,
            env=local_cloud.environment() | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not local_cloud.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"MiniStack does not start: {Path(log.name).read_text()}")
            time.sleep(0.05)
        yield local_cloud
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def sam(cloud: Cloud) -> Callable[..., str]:
    """Run the SAM CLI: what it writes to standard output."""

    def run(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [tool("sam"), *arguments],
            cwd=REPOSITORY,
            env=cloud.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stderr)  # the functions' log, which pytest shows where a test fails
        assert done.returncode == 0
        return done.stdout

    return run


@pytest.fixture(scope="session")
def template(sam: Callable[..., str]) -> Path:
    """The template of the functions, built for Lambda by `sam build`."""
    folder = BUILD / "functions"
    sam("build", "--build-dir", str(folder), "--cache-dir", str(BUILD / "cache"))
    return folder / "template.yaml"


@pytest.fixture(scope="session")
def invoke_image(engine: docker.DockerClient, cloud: Cloud, serving: Serving) -> str:
    """Lambda's image, in which the AWS SDK finds the local cloud and the serving container."""
    name = "scones-unlimited/invoke"
    dockerfile = f"""
        FROM {os.environ["LAMBDA_BASE_IMAGE"]}
        ENV AWS_ENDPOINT_URL={cloud.container_url}
        ENV AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME={serving.container_url}
    """
    build(engine, name, fileobj=io.BytesIO(dockerfile.encode()))
    with suppress(docker.errors.ImageNotFound):  # what SAM made of it before, with other URLs
        engine.images.remove(f"{name}:rapid-x86_64", force=True)
    return name


@pytest.fixture(scope="session")
def invoke(sam: Callable[..., str], template: Path, invoke_image: str) -> Callable[..., Any]:
    """`sam local invoke`: the answer of a function to an event."""

    def invoke_function(
        function: str, event: Any, built_template: Path = template, **environment: str
    ) -> Any:
        variables = BUILD / "environment.json"
        variables.write_text(json.dumps({"Parameters": environment}))
        answer = sam(
            *("local", "invoke", function, "--event", "-", "--template", str(built_template)),
            *("--env-vars", str(variables)),
            *("--invoke-image", invoke_image, "--skip-pull-image"),
            stdin=json.dumps(event),
        )
        return json.loads(answer)

    return invoke_function


def tool(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))
