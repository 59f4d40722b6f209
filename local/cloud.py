"""The local cloud: MiniStack with IAM enforced, and the serving app, on loopback.

MiniStack speaks the AWS APIs on one port and runs the deployed stack for real; the serving app
answers its SageMaker Runtime calls. Nothing here reads the user's own AWS configuration.
"""

import json
import os
import platform
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import boto3

PROJECT = Path(__file__).resolve().parent.parent
STATE = PROJECT / ".local"
STACK_NAME = "scones-unlimited"
ARTIFACTS_BUCKET = "scones-unlimited-artifacts"
REGION = "us-east-1"
START_SECONDS = 60
# MiniStack waits for clients that keep a connection open, and has nothing to save.
STOP_SECONDS = 2
# More cold functions at once than processors only wait for each other.
CONCURRENT_FUNCTIONS = max(2, os.cpu_count() or 2)
# What exceeds it is refused, not queued, and starves when a folder is uploaded at once.
MOST_FUNCTIONS = 16


class LocalCloudError(Exception):
    """Something a person can mend; the message is one line that says what to do."""


@dataclass
class LocalCloud:
    """MiniStack and the serving app as two processes of this machine.

    Attributes:
        directory: where logs, builds and the processes' scratch files go.
        cloud_port: port of MiniStack on 127.0.0.1.
        serving_port: port of the serving app on 127.0.0.1.
        pids: process ids by name, once started.

    """

    directory: Path
    cloud_port: int
    serving_port: int
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def endpoint_url(self) -> str:
        """The one URL of all AWS APIs."""
        return f"https://127.0.0.1:{self.cloud_port}"

    @property
    def certificate(self) -> Path:
        """What MiniStack makes at each start, and clients have to trust (the bucket wants TLS)."""
        return self.directory / "tmp" / "ministack-tls" / "server.crt"

    @property
    def serving_url(self) -> str:
        """The URL of the serving app."""
        return f"http://127.0.0.1:{self.serving_port}"

    @property
    def logs(self) -> Path:
        """Folder of all logs."""
        return self.directory / "logs"

    def environment(self) -> dict[str, str]:
        """The variables that point any AWS tool at the local cloud, and at nothing else."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return own | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of the local cloud, as its root user."""
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.endpoint_url,
            verify=str(self.certificate),
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - MiniStack's documented root secret
        )

    def start(self) -> None:
        """Start both processes; they need a second or two until they answer.

        Raises:
            LocalCloudError: a port is taken.

        """
        self.start_cloud()
        self.start_serving()

    def wait_until_ready(self) -> None:
        """Wait until both processes answer.

        Raises:
            LocalCloudError: a process ended, or did not answer within START_SECONDS.

        """
        self.wait("ministack", f"{self.endpoint_url}/_ministack/health")
        self.wait("serving", f"{self.serving_url}/ping")

    def start_cloud(self) -> None:
        """Start MiniStack, IAM enforced."""
        if shutil.which("openssl") is None:
            raise LocalCloudError("openssl is missing: install it (the local cloud speaks TLS)")
        scratch = self.directory / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True, exist_ok=True)
        environment = self.environment() | {
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.cloud_port),
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "USE_SSL": "1",
            "LAMBDA_ACCOUNT_CONCURRENCY": str(MOST_FUNCTIONS),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(scratch),
            "STATE_DIR": str(scratch / "state"),
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.serving_url,
        }
        self._spawn("ministack", [_tool("ministack")], self.cloud_port, environment)

    def start_serving(self) -> None:
        """Start the serving app with the shipped model."""
        model = PROJECT / "models" / "vehicles"
        command = [sys.executable, "-m", "serving.app", "--port", str(self.serving_port)]
        command += ["--model-dir", str(model)]
        environment = self.environment() | {"PYTHONPATH": str(PROJECT)}
        self._spawn("serving", command, self.serving_port, environment)

    def wait(self, name: str, url: str) -> None:
        """Wait until a process answers at a URL.

        Raises:
            LocalCloudError: it ended, or did not answer within START_SECONDS.

        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not _is_running(self.pids[name]):
                raise LocalCloudError(f"{name} ended at once: see {self.logs / name}.log")
            try:
                trust = ssl.create_default_context(cafile=self.certificate)
                with urllib.request.urlopen(url, timeout=2, context=trust):
                    return
            except OSError:
                time.sleep(0.05)
        raise LocalCloudError(
            f"{name} did not answer in {START_SECONDS} s: see {self.logs / name}.log"
        )

    def stop(self) -> None:
        """Stop what was started, and remove its scratch files; logs stay."""
        for name in list(self.pids):
            self.stop_process(name)
        shutil.rmtree(self.directory / "tmp", ignore_errors=True)

    def stop_process(self, name: str) -> None:
        """Stop one process and everything it started: first politely, then for good."""
        group = self.pids.pop(name)
        deadline = time.monotonic() + STOP_SECONDS
        _signal_group(group, signal.SIGTERM)
        while _is_running(group) and time.monotonic() < deadline:
            time.sleep(0.05)
        _signal_group(group, signal.SIGKILL)

    def build(self) -> None:
        """`sam build` into this directory, for this machine's platform."""
        environment = self.environment()
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            environment["LAMBDA_PLATFORM"] = ""
        command = ["build", "--config-env", "local", "--build-dir", str(self.directory / "build")]
        command += ["--cache-dir", str(self.directory / "cache")]
        with tempfile.TemporaryDirectory() as scratch:  # SAM leaves empty folders there
            self._sam(command, environment | {"TMPDIR": scratch})

    def deploy(self, **parameters: str) -> dict[str, str]:
        """`sam deploy` of what was built.

        Args:
            parameters: template parameters that differ from samconfig.toml's `local`.

        Returns:
            The stack's outputs by name.

        """
        self.client("s3").create_bucket(Bucket=ARTIFACTS_BUCKET)
        # SAM looks for its configuration beside the template that it deploys.
        command = ["deploy", "--config-env", "local"]
        command += ["--config-file", str(PROJECT / "samconfig.toml")]
        command += ["--template-file", str(self.directory / "build" / "template.yaml")]
        if parameters:
            overrides = {"WorkflowType": "STANDARD"} | parameters
            command += ["--parameter-overrides", *(f"{k}={v}" for k, v in overrides.items())]
        self._sam(command, self.environment())
        return self.outputs()

    def outputs(self) -> dict[str, str]:
        """The deployed stack's outputs by name."""
        [stack] = self.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def save(self) -> None:
        """Remember the running processes for a later command."""
        state = asdict(self) | {"directory": str(self.directory)}
        (self.directory / "cloud.json").write_text(json.dumps(state, indent=2) + "\n")

    @classmethod
    def load(cls, directory: Path) -> "LocalCloud | None":
        """The local cloud that an earlier command left running; None where there is none."""
        try:
            state = json.loads((directory / "cloud.json").read_text())
        except FileNotFoundError:
            return None
        pids = {name: pid for name, pid in state["pids"].items() if _is_ours(name, pid)}
        return cls(**state | {"directory": directory, "pids": pids}) if pids else None

    def forget(self) -> None:
        """Remove what save() wrote."""
        (self.directory / "cloud.json").unlink(missing_ok=True)

    def _spawn(self, name: str, command: list[str], port: int, environment: dict[str, str]) -> None:
        if not is_free(port):
            raise LocalCloudError(
                f"port {port} is taken: stop what uses it (`make down`, if it is the local cloud), "
                "or choose others with CLOUD_PORT= and SERVING_PORT="
            )
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pids[name] = process.pid

    def _sam(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"sam-{arguments[0]}.log"
        with log.open("w") as output:
            code = subprocess.call(
                [_tool("sam"), *arguments],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if code:
            lines = [line for line in log.read_text().splitlines() if "Error" in line]
            reason = lines[-1].strip() if lines else f"exit code {code}"
            raise LocalCloudError(f"sam {arguments[0]} failed ({reason}): see {log}")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _tool(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise LocalCloudError(f"{name} is not installed: run this through `make`, or `make setup`")
    return str(path)


def _is_running(pid: int) -> bool:
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # Not a child of this process: started by an earlier command.
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    return ended == 0


def _is_ours(name: str, pid: int) -> bool:
    """Whether a remembered process id still is that process, not a later one."""
    command = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return {"ministack": "ministack", "serving": "serving.app"}[name] in command


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
