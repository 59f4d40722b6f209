"""What the Dockerfile starts, checked without a Docker engine (tests/sam_local has one)."""

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.repository import REPOSITORY
from tests.support.serving import APP, Server, draw_photo
from tests.support.waiting import PATIENCE

DOCKERFILE = (REPOSITORY / "serving" / "Dockerfile").read_text().replace("\\\n", "")


def command(pattern: str) -> list[str]:
    """The one command, in exec form, that follows `pattern` at the start of a line."""
    (found,) = re.findall(rf"^{pattern} (\[.+\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(found)


@pytest.fixture
def container(start: Callable[..., Server]) -> Server:
    """What SageMaker's `docker run <image> serve` starts, on a free port, with this model."""
    python, flag, module, *options = command("ENTRYPOINT")
    assert (python, [flag, module]) == ("python", APP[1:])
    assert options[:2] == ["--host", "0.0.0.0"]
    assert options[-2:] == ["--model-dir", "/opt/ml/model"]
    options[1] = "127.0.0.1"  # reachable from outside in a container only
    return start(command=[*APP, *options, "serve"])


def test_the_container_classifies_a_photo(container: Server) -> None:
    assert container.infer(draw_photo("red")).status == 200


def test_the_container_starts_the_same_without_sagemaker() -> None:
    assert command("CMD") == ["serve"]


def test_the_health_check_fails_if_the_server_is_down(container: Server) -> None:
    python, flag, code = command("HEALTHCHECK .* CMD")
    assert (python, flag) == ("python", "-c")
    check = [sys.executable, "-c", code.replace("8080", str(container.port))]
    subprocess.run(check, timeout=PATIENCE, check=True)
    container.process.kill()
    container.process.wait(PATIENCE)
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(check, timeout=PATIENCE, check=True, capture_output=True)


def test_the_container_runs_as_nobody() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["65534:65534"]


def test_the_container_has_the_versions_of_the_local_cloud() -> None:
    def pins(requirements: str) -> set[str]:
        text = (REPOSITORY / requirements).read_text()
        return set(re.findall(r"^[a-z0-9-]+==[^ ;]+", text, re.MULTILINE))

    image = pins("serving/requirements.txt")
    assert image
    assert image <= pins("requirements/run.txt")
