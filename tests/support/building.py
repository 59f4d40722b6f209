"""`sam build` once for all workers of a test run."""

import fcntl
import os

from local.cloud import LocalCloud


def build_once(cloud: LocalCloud) -> None:
    """Build the functions, or use the build of another worker.

    The directory of the cloud is in pytest's temporary folder of the worker.
    """
    own = cloud.directory.parent
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (shared / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits while another worker builds
        first = shared / "build"
        if first.exists():
            (cloud.directory / "build").symlink_to(first.resolve())
        else:
            cloud.build(Web="on")
            first.symlink_to(cloud.directory / "build")
