"""A running serving app, and a small model whose responses are known."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.serving import (
    APP,
    COLOURS,
    INPUT_SIZE,
    Server,
    colour_model,
    draw_photo,
    running,
)


@pytest.fixture(scope="session")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write the small model into a new folder; keywords replace what its metadata says."""

    def write(**metadata: object) -> Path:
        directory = tmp_path_factory.mktemp("model")
        (directory / "model.onnx").write_bytes(colour_model())
        contents = {
            "name": "colours",
            "version": "1",
            "labels": list(COLOURS),
            "input_size": INPUT_SIZE,
        }
        (directory / "metadata.json").write_text(json.dumps(contents | metadata))
        return directory

    return write


@pytest.fixture(scope="session")
def start(write_model: Callable[..., Path]) -> Iterator[Callable[..., Server]]:
    """Start a serving app for one test; `command` replaces `python -m serving.app`."""
    with ExitStack() as stack:

        def start_server(*, model_dir: Path | None = None, command: list[str] | None = None) -> Any:
            program = command or APP
            options = ["--port", "0", "--model-dir", str(model_dir or write_model())]
            return stack.enter_context(running(program + options))

        yield start_server


@pytest.fixture(scope="session")
def server(start: Callable[..., Server]) -> Server:
    """The serving app that most tests share."""
    return start()


@pytest.fixture(scope="session")
def app() -> ModuleType:
    """The serving app as a module."""
    return import_module("serving.app")


@pytest.fixture(scope="session")
def slow_photo() -> bytes:
    """A red PNG of 4 megapixels. PNG has no scaled decoding, so it takes about 40 ms."""
    return draw_photo("red", (2400, 1700), "PNG", compress_level=1)
