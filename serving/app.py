"""Classify photos over HTTP: the program in the SageMaker container and in the local cloud.

    .venv/bin/python -m serving.app --port 8080
    curl --data-binary @photo.jpg localhost:8080/invocations
    {"bicycle": 0.97, "motorcycle": 0.02, "other": 0.01}

GET  /ping                          200 once the model is loaded: SageMaker's health check
POST /invocations                   the photo's bytes in, probabilities by label out
POST /endpoints/<name>/invocations  the same in the form of the SageMaker Runtime API, so that
                                    AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME may point here

With the header X-Amzn-SageMaker-Custom-Attributes: explain (CustomAttributes="explain" of
InvokeEndpoint), the response also says which parts of the photo speak for each label:

    {"probabilities": {"broken": 0.98, ...}, "activation": {"broken": [[0.1, 3.2, ...], ...], ...}}

The rows and columns of a label's activation cover the photo. A positive number speaks for the
label, a negative one against it; the unit is logits.
"""

import argparse
import asyncio
import functools
import json
import logging
import os
import signal
import socket
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.preprocess import activation_of_photo, preprocess

MAX_BYTES = 25 * 1024 * 1024  # what a SageMaker real-time endpoint takes
MAX_REQUESTS = 32  # read, waiting or in work at once; one more gets 503
READ_SECONDS = 30  # for a client to send its photo; SageMaker allows 60 for the whole response
STOP_SECONDS = 25  # to finish what is in work; SageMaker kills 30 seconds after SIGTERM

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"  # header of requests and responses
EXPLAIN = "explain"  # its value in a request

logger = logging.getLogger("serving")


class Model:
    """The ONNX model and metadata in a directory. Raises ValueError if they cannot serve."""

    def __init__(self, directory: Path) -> None:
        metadata = read_metadata(directory / "metadata.json")
        self.labels: list[str] = metadata["labels"]
        self.input_size: int = metadata["input_size"]
        self.name = f"{metadata['name']}/{metadata['version']}"
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # photos in parallel are faster: benchmarks/serving_app.py
        path = directory / "model.onnx"
        try:
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            blank = numpy.zeros((1, 3, self.input_size, self.input_size), numpy.float32)
            probabilities = self.session.run(["probabilities"], {"image": blank})[0][0]
        except Exception as error:  # ONNX Runtime has an exception for each of its status codes
            raise ValueError(f"cannot run {path}: {first_line(error)}") from error
        if probabilities.shape != (len(self.labels),):
            raise ValueError(f"{path} has no probability for each of {len(self.labels)} labels")
        self.outputs = [output.name for output in self.session.get_outputs()]

    def infer(self, photo: bytes, *, explain: bool = False) -> tuple[dict[str, Any], str]:
        """Probabilities by label, and the custom attributes of the response.

        With `explain`, the probabilities and the activation, see the top of this file.
        Raises HTTPException 400 with the reason if it is not a photo or the model cannot explain.
        """
        try:
            pixels = preprocess(photo, self.input_size)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        outputs = dict(zip(self.outputs, self.session.run(None, {"image": pixels}), strict=True))
        values = zip(self.labels, outputs["probabilities"][0].tolist(), strict=True)
        attributes = f"model={self.name}"
        if "novelty" in outputs:  # models before 2.1 have none
            attributes += f",novelty={outputs['novelty'][0]:.4f}"
        probabilities = {label: round(value, 6) for label, value in values}
        if not explain:
            return probabilities, attributes
        if "activation" not in outputs:
            raise HTTPException(400, f"{self.name} cannot explain: train it again")
        activation = activation_of_photo(outputs["activation"][0], photo).round(3).tolist()
        return {
            "probabilities": probabilities,
            "activation": dict(zip(self.labels, activation, strict=True)),
        }, attributes


def read_metadata(path: Path) -> dict[str, Any]:
    """The model's metadata. Raises ValueError if what serving needs is missing or malformed."""
    try:
        metadata = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise ValueError(f"{path} is not a JSON object")  # noqa: TRY004
    for key, valid, needed in (
        ("name", is_header_text, "visible ASCII text"),
        ("version", is_header_text, "visible ASCII text"),
        ("labels", is_labels, "a list of different names"),
        ("input_size", lambda size: type(size) is int and size > 0, "a number of pixels"),
    ):
        if not valid(metadata.get(key)):
            raise ValueError(f"{path}: {key} is {metadata.get(key)!r}, it must be {needed}")
    return metadata


def is_header_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value


def is_labels(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(label, str) and label for label in value)
        and len(set(value)) == len(value)
    )


def create_app(model: Model) -> Starlette:
    """The web application around a loaded model."""
    workers = ThreadPoolExecutor(os.process_cpu_count(), thread_name_prefix="inference")
    places = asyncio.Semaphore(MAX_REQUESTS)

    async def ping(_request: Request) -> Response:
        return Response()

    async def invocations(request: Request) -> Response:
        if places.locked():
            await read_body(request, keep=False)
            raise HTTPException(503, "too many requests at once", {"Retry-After": "1"})
        async with places:
            photo = await read_body(request, keep=True)
            if len(photo) > MAX_BYTES:
                raise HTTPException(413, f"the file is larger than {MAX_BYTES // 1024**2} MB")
            explain = request.headers.get(ATTRIBUTES) == EXPLAIN
            infer = functools.partial(model.infer, photo, explain=explain)
            try:
                inferences, attributes = await asyncio.get_running_loop().run_in_executor(
                    workers, infer
                )
                return JSONResponse(inferences, headers={ATTRIBUTES: attributes})
            except HTTPException:
                raise
            except Exception as error:
                logger.exception("inference failed")
                raise HTTPException(500, "inference failed, see the log") from error

    async def invoke_endpoint(request: Request) -> Response:
        try:
            return await invocations(request)
        except HTTPException as error:
            return model_error(await refuse(request, error))

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/invocations", invocations, methods=["POST"]),
            Route("/endpoints/{name}/invocations", invoke_endpoint, methods=["POST"]),
        ],
        exception_handlers={
            404: no_such_path,
            405: no_such_path,
            HTTPException: refuse,
            ClientDisconnect: forget,
        },
    )


async def read_body(request: Request, *, keep: bool) -> bytes:
    """The request's body, cut just over MAX_BYTES.

    It is read to its end even if it is not kept: a client that is cut off while it sends loses the
    response.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                if keep and len(body) <= MAX_BYTES:
                    body += chunk
    except TimeoutError as error:
        raise HTTPException(408, f"the photo did not arrive in {READ_SECONDS} seconds") from error
    return bytes(body)


async def refuse(request: Request, error: Exception) -> Response:
    """The response to an error, for AWS clients and people: a code and the reason."""
    if not isinstance(error, HTTPException):  # it is registered for these only
        raise error
    logger.warning(
        "refused",
        extra={
            "path": request.url.path,
            "status": error.status_code,
            "reason": error.detail,
        },
    )
    code = HTTPStatus(error.status_code).phrase.replace(" ", "")
    return JSONResponse(
        {"code": code, "message": error.detail}, error.status_code, headers=error.headers
    )


async def no_such_path(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # it is registered for these only
        raise error
    error.detail = "there is only GET /ping and POST /invocations"
    return await refuse(request, error)


async def forget(_request: Request, _error: Exception) -> Response:
    """The client has gone: nobody waits for the response."""
    return Response()


def model_error(refusal: Response) -> Response:
    """How SageMaker Runtime passes on its container's errors: always 424 and ModelError."""
    message = bytes(refusal.body).decode()
    side = "client" if refusal.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else "server"
    return JSONResponse(
        {
            "Message": f"Received {side} error ({refusal.status_code}) from primary "
            f'with message "{message}"',
            "OriginalStatusCode": refusal.status_code,
            "OriginalMessage": message,
        },
        HTTPStatus.FAILED_DEPENDENCY,
        headers={"X-Amzn-ErrorType": "ModelError"},
    )


class JsonLines(logging.Formatter):
    """One JSON object a line, as CloudWatch Logs Insights reads it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        standard = logging.makeLogRecord({}).__dict__
        line |= {key: value for key, value in record.__dict__.items() if key not in standard}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Classify photos over HTTP.")
    parser.add_argument(
        "command", nargs="?", choices=["serve"], help="what SageMaker starts a container with"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port, 0 for any (%(default)s)")
    parser.add_argument(
        "--model-dir",
        type=Path,
        default=Path(__file__).parents[1] / "models" / "vehicles",
        help="folder of model.onnx and metadata.json (%(default)s)",
    )
    arguments = parser.parse_args()

    # Before uvicorn listens to signals, and when it raises them again after the last response. An
    # exception would be lost if Python is just in a callback of its garbage collection.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    warnings.simplefilter("ignore")  # Pillow's remarks on a photo: the response has the reason
    handler = logging.StreamHandler(sys.stdout)  # libtiff's remarks go to stderr
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logger.setLevel(logging.INFO)
    try:
        model = Model(arguments.model_dir)
    except ValueError as error:
        sys.exit(f"serving: {error}")
    try:
        listener = socket.create_server((arguments.host, arguments.port))
    except (OSError, OverflowError) as error:
        sys.exit(f"serving: cannot listen on {arguments.host}:{arguments.port}: {error}")

    host, port = listener.getsockname()[:2]
    logger.info("serving", extra={"url": f"http://{host}:{port}", "model": model.name})
    config = uvicorn.Config(
        create_app(model),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
