"""A local cloud for tests: MiniStack with IAM enforced, and an endpoint that tests control."""

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

SCRATCH_BYTES = 2 * 2**30  # two local clouds wrote 0.9 GiB of temporary files


def deployable(directory: Path, **environment: str) -> Iterator[Stack]:
    """The local cloud and the endpoint, with logs in a directory. The stack is not deployed yet."""
    with TemporaryDirectory(dir=folder_in_memory(), ignore_cleanup_errors=True) as scratch:
        (directory / "tmp").symlink_to(scratch)
        yield from running(LocalCloud(directory, free_port(), free_port()), environment)


def folder_in_memory() -> str | None:
    """Linux's folder in memory, if it has room; otherwise None, for the disk.

    After each error of a function the local cloud unpacks the function's thousand files again. On
    a disk it takes seconds to remove them.
    """
    folder = "/dev/shm"
    return folder if Path(folder).is_dir() and disk_usage(folder).free > SCRATCH_BYTES else None


def running(cloud: LocalCloud, environment: dict[str, str]) -> Iterator[Stack]:
    """Start the endpoint and the cloud; stop them, whatever happens."""
    build_once(cloud)
    endpoint = Endpoint(cloud.serving_port)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFN_WAIT_SCALE", str(WAIT_SCALE))
        for name, value in environment.items():
            patch.setenv(name, value)
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
