"""The stack deployed to a local cloud with IAM enforced, once for all files of a worker."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory

import pytest

from local.cloud import LocalCloud
from local.processes import free_port
from tests.support.building import build_once
from tests.support.endpoint import Endpoint
from tests.support.stack import WAIT_SCALE, Stack

FAULTS = Path(__file__).with_name("faults.json")  # faults that the local cloud cannot have
SCRATCH_BYTES = 2 * 2**30  # two local clouds wrote 0.9 GiB of temporary files

signal.signal(signal.SIGTERM, signal.default_int_handler)  # pytest then tears fixtures down as well


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local cloud and the endpoint. The stack is not deployed yet."""
    directory = tmp_path_factory.mktemp("workflow")
    with TemporaryDirectory(dir=folder_in_memory(), ignore_cleanup_errors=True) as scratch:
        (directory / "tmp").symlink_to(scratch)
        yield from running(LocalCloud(directory, free_port(), free_port()))


def folder_in_memory() -> str | None:
    """Linux's folder in memory, if it has room; otherwise None, for the disk.

    After each error of a function the local cloud unpacks the function's thousand files again. On
    a disk it takes seconds to remove them.
    """
    folder = "/dev/shm"
    return folder if Path(folder).is_dir() and disk_usage(folder).free > SCRATCH_BYTES else None


def running(cloud: LocalCloud) -> Iterator[Stack]:
    """Start the endpoint and the cloud; stop them, whatever happens."""
    build_once(cloud)
    endpoint = Endpoint(cloud.serving_port)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SFN_WAIT_SCALE", str(WAIT_SCALE))
        environment.setenv("SFN_MOCK_CONFIG", str(FAULTS))
        try:
            cloud.start_serving()
            app = cloud.serving_url
            cloud.serving_port = endpoint.server_port
            cloud.start_cloud()
            cloud.wait("ministack", f"{cloud.endpoint_url}/_ministack/health")
            cloud.wait("serving", f"{app}/ping")
            yield Stack(cloud, endpoint)
        finally:
            endpoint.closing.set()
            endpoint.shutdown()
            endpoint.server_close()
            cloud.stop()


@pytest.fixture(scope="session", params=["STANDARD", "EXPRESS"])
def stack(deployed: Stack, request: pytest.FixtureRequest) -> Stack:
    """The deployed stack, with each type of workflow."""
    if deployed.outputs:
        deployed.change("WorkflowType", request.param)
    else:
        deployed.deploy(WorkflowType=request.param)
    return deployed
