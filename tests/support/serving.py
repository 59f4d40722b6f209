"""The serving app as a process, and a small model whose responses are known."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import boto3
import pillow_heif
from botocore.config import Config
from PIL import Image

from tests.support.repository import REPOSITORY
from tests.support.waiting import PATIENCE

APP = [sys.executable, "-m", "serving.app"]
INPUT_SIZE = 32
COLOURS = {"bicycle": "red", "motorcycle": "lime", "other": "blue"}  # what the small model knows


pillow_heif.register_heif_opener()  # the tests write HEIC


@dataclass
class Response:
    status: int
    headers: dict[str, str]  # names in lower case
    body: Any  # parsed JSON, None if empty


@dataclass
class Server:
    """The serving app as a process on a free port of loopback."""

    process: subprocess.Popen[str]
    host: str
    port: int
    lines: list[str]  # what it wrote on stdout

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def connect(self) -> HTTPConnection:
        return HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str | None = "image/jpeg"
    ) -> Response:
        headers = {"Connection": "close"}
        if body is not None and content_type:
            headers["Content-Type"] = content_type
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            return read_response(connection)
        finally:
            connection.close()

    def runtime(self) -> Any:
        """The client with which the function calls an endpoint."""
        return boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def infer(self, body: Any, content_type: str | None = "image/jpeg") -> Response:
        return self.request("POST", "/invocations", body, content_type)


def read_response(connection: HTTPConnection) -> Response:
    response = connection.getresponse()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Response(response.status, headers, json.loads(body) if body else None)


@contextmanager
def running(command: list[str]) -> Iterator[Server]:
    """Start a serving app, wait until it says where it listens, stop it at the end."""
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        lines = process.stdout
        assert lines
        try:
            started = lines.readline()
            host, port = json.loads(started)["url"].removeprefix("http://").split(":")
            server = Server(process, host, int(port), [started])
            reader = threading.Thread(target=lambda: server.lines.extend(lines))
            reader.start()
            yield server
            process.terminate()
            reader.join(PATIENCE)
        finally:
            process.kill()


def draw_photo(
    colour: str, size: tuple[int, int] = (96, 64), form: str = "JPEG", **options: Any
) -> bytes:
    """The bytes of an image of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, form, **options)
    return stream.getvalue()


def colour_model(*, explains: bool = True) -> bytes:
    """softmax(mean of the pixels / 32) in ONNX's protobuf encoding (onnx/onnx.proto).

    Without `explains`, it is like models that have no activation.
    """
    positions = message(5, text(1, "perm") + b"".join(number(8, at) for at in (0, 2, 3, 1)) + INTS)
    graph = (
        node("GlobalAveragePool", ["image"], "mean")
        + node("Flatten", ["mean"], "flat")
        + node("Mul", ["flat", "scale"], "logits")
        + node("Softmax", ["logits"], "probabilities")
        + text(2, "colours")
        + message(5, number(2, 1) + text(8, "scale") + message(9, b"\0\0\0\x3d"))  # 1/32
        + tensor(11, "image", ["batch", 3, INPUT_SIZE, INPUT_SIZE])
        + tensor(12, "probabilities", ["batch", 3])
    )
    if explains:
        graph += node("Transpose", ["image"], "positions", positions)
        graph += node("Mul", ["positions", "scale"], "activation")
        graph += tensor(12, "activation", ["batch", INPUT_SIZE, INPUT_SIZE, 3])
    opset = text(1, "") + number(2, 17)
    return number(1, 8) + message(7, graph) + message(8, opset)


def node(operator: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    names = b"".join(text(1, name) for name in inputs)
    return message(1, names + text(2, output) + text(4, operator) + attributes)


def tensor(tag: int, name: str, shape: list[str | int]) -> bytes:
    sizes = [number(1, size) if isinstance(size, int) else text(2, size) for size in shape]
    dimensions = b"".join(message(1, size) for size in sizes)
    floats = number(1, 1) + message(2, dimensions)
    return message(tag, text(1, name) + message(2, message(1, floats)))


def text(tag: int, value: str) -> bytes:
    return message(tag, value.encode())


def message(tag: int, value: bytes) -> bytes:
    return varint(tag << 3 | 2) + varint(len(value)) + value


def number(tag: int, value: int) -> bytes:
    return varint(tag << 3) + varint(value)


INTS = b"\xa0\x01\x07"  # the type of an attribute that is a list of integers


def varint(value: int) -> bytes:
    high, low = divmod(value, 128)
    return bytes([low | 128]) + varint(high) if high else bytes([low])
