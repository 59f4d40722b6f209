"""The stack deployed to a local cloud with IAM enforced, once for all files of a worker."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import deployable
from tests.support.stack import Stack

FAULTS = Path(__file__).with_name("faults.json")  # faults that the local cloud cannot have

signal.signal(signal.SIGTERM, signal.default_int_handler)  # pytest then tears fixtures down as well


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local cloud and the endpoint. The stack is not deployed yet."""
    directory = tmp_path_factory.mktemp("workflow")
    yield from deployable(directory, SFN_MOCK_CONFIG=str(FAULTS))


@pytest.fixture(scope="session", params=["STANDARD", "EXPRESS"])
def stack(deployed: Stack, request: pytest.FixtureRequest) -> Stack:
    """The deployed stack, with each type of workflow."""
    if deployed.outputs:
        deployed.change("WorkflowType", request.param)
    else:
        deployed.deploy(WorkflowType=request.param)
    return deployed
