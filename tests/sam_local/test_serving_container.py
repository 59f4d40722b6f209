"""The serving container, built from its Dockerfile and driven as SageMaker drives it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.repository import REPOSITORY

METADATA = json.loads((REPOSITORY / "models" / "vehicles" / "metadata.json").read_text())


def test_a_photo_is_answered_with_probabilities(serving: Any, photo: bytes) -> None:
    status, answer = serving.request("POST", "/invocations", photo)
    assert status == 200
    assert list(answer) == METADATA["labels"]
    assert sum(answer.values()) == pytest.approx(1, abs=1e-5)


def test_what_is_no_photo_is_refused_with_a_reason(serving: Any) -> None:
    status, answer = serving.request("POST", "/invocations", b"<html>not a photo</html>")
    assert status == 400
    assert answer["message"]
    assert serving.request("GET", "/ping") == (200, None)


def test_it_runs_as_nobody_and_finds_itself_healthy(serving: Any) -> None:
    assert serving.container.exec_run("id -u").output == b"65534\n"
    form, *command = serving.container.image.attrs["Config"]["Healthcheck"]["Test"]
    assert form == "CMD"
    exit_code, output = serving.container.exec_run(command)
    assert exit_code == 0, output


def test_sigterm_lets_a_request_in_work_finish(
    start_serving: Callable[[], Any], photo: bytes
) -> None:
    stopping = start_serving()
    connection = stopping.connect()
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str(len(photo)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(1024).startswith(b"HTTP/1.1 100 ")  # it reads the photo now
    stopping.container.kill("SIGTERM")
    stopping.wait_until(lambda: not stopping.answers())
    connection.send(photo)
    assert connection.getresponse().status == 200
    assert stopping.container.wait(timeout=30)["StatusCode"] == 0
