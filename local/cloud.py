"""The local cloud: MiniStack with IAM enforced, and the serving app, on loopback.

MiniStack provides the AWS APIs on one port and runs the deployed stack; the serving app takes the
place of the SageMaker endpoint. Nothing here reads the user's own AWS configuration.
"""

import json
import os
import platform
import re
import shutil
import ssl
import sys
import tempfile
import time
import urllib.request
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local import processes
from local.processes import PROJECT, LocalCloudError
from local.use_cases import DEFAULT, UseCase, find_use_case, local_parameters

ARTIFACTS_BUCKET = "scones-unlimited-artifacts"
REGION = "us-east-1"
START_SECONDS = 60
# More functions that start at once than processors would wait for each other.
CONCURRENT_FUNCTIONS = max(2, os.cpu_count() or 2)
# The account's concurrency: MiniStack throttles what exceeds it.
MOST_FUNCTIONS = 16


@dataclass
class LocalCloud:
    """MiniStack and the serving app as two processes of this machine.

    Attributes:
        directory: for logs, builds and scratch files of the processes; one command uses it.
        cloud_port: port of MiniStack on 127.0.0.1.
        serving_port: port of the serving app on 127.0.0.1.
        pids: process ids by name, once started.
        use_case: whose stack and model run.

    """

    directory: Path
    cloud_port: int
    serving_port: int
    pids: dict[str, int] = field(default_factory=dict)
    use_case: UseCase = field(default_factory=lambda: find_use_case(DEFAULT))

    @property
    def endpoint_url(self) -> str:
        """The one URL of all AWS APIs."""
        return f"https://127.0.0.1:{self.cloud_port}"

    @property
    def certificate(self) -> Path:
        """Made by MiniStack at each start; clients have to trust it (the bucket requires TLS)."""
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
        """Start both processes; they are ready after a second or two."""
        self.start_cloud()
        self.start_serving()

    def check_ports(self) -> None:
        """Check that both ports are free, before anything is changed.

        Raises:
            LocalCloudError: they are equal, or one is taken.

        """
        if self.cloud_port == self.serving_port:
            raise LocalCloudError(
                f"CLOUD_PORT and SERVING_PORT are both {self.cloud_port}: choose two ports"
            )
        for port in (self.cloud_port, self.serving_port):
            if not processes.is_free(port):
                raise LocalCloudError(
                    f"port {port} is taken: stop what uses it (`make down`, if it is the local "
                    "cloud), or choose others with CLOUD_PORT= and SERVING_PORT="
                )

    def wait_until_ready(self) -> None:
        """Wait until both processes respond.

        Raises:
            LocalCloudError: a process ended, or did not respond within START_SECONDS.

        """
        self.wait("ministack", self.health_urls["ministack"])
        self.wait("serving", self.health_urls["serving"])

    @property
    def health_urls(self) -> dict[str, str]:
        """The health check of each process."""
        return {
            "ministack": f"{self.endpoint_url}/_ministack/health",
            "serving": f"{self.serving_url}/ping",
        }

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
        self._start("ministack", [sys.executable, "-m", "local.emulator"], environment)

    def start_serving(self) -> None:
        """Start the serving app with the shipped model of the use case."""
        command = [sys.executable, "-m", "serving.app", "--port", str(self.serving_port)]
        command += ["--model-dir", str(self.use_case.model)]
        self._start("serving", command, self.environment())

    def wait(self, name: str, url: str) -> None:
        """Wait until a process responds at a URL.

        Raises:
            LocalCloudError: it ended, or did not respond within START_SECONDS.

        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not processes.is_running(self.pids[name]):
                raise LocalCloudError(f"{name} ended at once: see {self.logs / name}.log")
            if self._responds(url):
                return
            time.sleep(0.05)
        raise LocalCloudError(
            f"{name} did not respond in {START_SECONDS} s: see {self.logs / name}.log"
        )

    def is_healthy(self) -> bool:
        """Whether both processes respond and the stack is deployed."""
        if self.pids.keys() != self.health_urls.keys():
            return False
        try:
            return all(map(self._responds, self.health_urls.values())) and bool(self.outputs())
        except (BotoCoreError, ClientError):
            return False

    def stop(self) -> None:
        """Stop what was started, and remove its scratch files; logs stay."""
        with processes.uninterrupted():
            processes.stop(self.pids)
            self.pids.clear()
            shutil.rmtree(self.directory / "tmp", ignore_errors=True)
            (self.directory / processes.RECORD).unlink(missing_ok=True)

    def build(self, **parameters: str) -> None:
        """`sam build` into this directory, for this machine's platform.

        Args:
            parameters: those of `deploy`. With Web=off, the web part's packages are empty.

        """
        web = self.all_parameters(**parameters)["Web"]
        environment = self.environment() | {"BYTECODE": "no", "WEB": web}
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            environment["LAMBDA_PLATFORM"] = ""
        command = ["build", "--config-env", "local", "--build-dir", str(self.directory / "build")]
        command += ["--cache-dir", str(self.directory / "cache")]
        with tempfile.TemporaryDirectory() as scratch:  # SAM leaves empty folders there
            self._sam(command, environment | {"TMPDIR": scratch})
        self._zip_packages()

    def _zip_packages(self) -> None:
        """Zip the packages of the functions without compression; `sam deploy` uploads the zips.

        On loopback, the size does not matter. SAM itself would compress them, in half of the time
        of a deployment.
        """
        template = self.directory / "build" / "template.yaml"

        def zip_package(line: re.Match[str]) -> str:
            package = template.parent / line["name"]
            with zipfile.ZipFile(f"{package}.zip", "w") as out:
                for file in sorted(package.rglob("*")):
                    out.write(file, file.relative_to(package))
            return f"{line[0]}.zip"

        text = template.read_text("utf-8")
        template.write_text(
            re.sub(r"^ +CodeUri: (?P<name>\w+)$", zip_package, text, flags=re.MULTILINE), "utf-8"
        )

    def deploy(self, **parameters: str) -> dict[str, str]:
        """`sam deploy` of what was built.

        Args:
            parameters: template parameters that differ from what samconfig.toml says.

        Returns:
            The stack's outputs by name.

        """
        self.client("s3").create_bucket(Bucket=ARTIFACTS_BUCKET)
        # SAM looks for its configuration beside the template that it deploys.
        command = ["deploy", "--config-env", "local"]
        command += ["--config-file", str(PROJECT / "samconfig.toml")]
        command += ["--template-file", str(self.directory / "build" / "template.yaml")]
        command += ["--stack-name", self.use_case.stack_name]
        overrides = self.all_parameters(**parameters).items()
        command += ["--parameter-overrides", *(f'{name}="{value}"' for name, value in overrides)]
        self._sam(command, self.environment())
        return self.outputs()

    def all_parameters(self, **parameters: str) -> dict[str, str]:
        """What samconfig.toml says for the use case and in `local`, then these."""
        return self.use_case.parameters | local_parameters() | parameters

    def outputs(self) -> dict[str, str]:
        """The deployed stack's outputs by name."""
        [stack] = self.client("cloudformation").describe_stacks(StackName=self.use_case.stack_name)[
            "Stacks"
        ]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def physical_name(self, resource: str) -> str:
        """The name that a resource of the template has in the cloud."""
        name: str = self.client("cloudformation").describe_stack_resource(
            StackName=self.use_case.stack_name, LogicalResourceId=resource
        )["StackResourceDetail"]["PhysicalResourceId"]
        return name

    @classmethod
    def find(cls, directory: Path) -> "LocalCloud | None":
        """The local cloud that an earlier command left running in a directory; None if none."""
        pids = processes.running(directory)
        if not pids:
            return None
        recorded = json.loads((directory / processes.RECORD).read_text())
        use_case = find_use_case(recorded.get("use_case", DEFAULT))
        return cls(directory, recorded["cloud_port"], recorded["serving_port"], pids, use_case)

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with processes.uninterrupted():
            process = processes.start(command, self.logs / f"{name}.log", environment)
            self.pids[name] = process.pid
            ports = {"cloud_port": self.cloud_port, "serving_port": self.serving_port}
            about = {"use_case": self.use_case.name, "pids": self.pids}
            record = json.dumps(ports | about, indent=2)
            (self.directory / processes.RECORD).write_text(f"{record}\n")

    def _responds(self, url: str) -> bool:
        try:
            trust = ssl.create_default_context(cafile=self.certificate)
            with urllib.request.urlopen(url, timeout=2, context=trust):
                return True
        except OSError:
            return False

    def _sam(self, arguments: list[str], environment: dict[str, str]) -> None:
        log = self.logs / f"sam-{arguments[0]}.log"
        code = processes.run([_tool("sam"), *arguments], log, environment)
        if code:
            lines = [line for line in log.read_text().splitlines() if "Error" in line]
            reason = lines[-1].strip() if lines else f"exit code {code}"
            raise LocalCloudError(f"sam {arguments[0]} failed ({reason}): see {log}")


def _tool(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise LocalCloudError(f"{name} is not installed: run this through `make`, or `make setup`")
    return str(path)
