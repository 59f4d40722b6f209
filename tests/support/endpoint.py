"""A SageMaker endpoint in front of the serving app: a test chooses its responses."""

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import PATIENCE


@dataclass
class Reply:
    """A response of the endpoint."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def response(body: Any) -> Reply:
    """A response of the model `chosen/1`: the body as JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(
        200,
        content,
        {
            "Content-Type": "application/json",
            "X-Amzn-SageMaker-Custom-Attributes": "model=chosen/1",
        },
    )


def probabilities(bicycle: float, motorcycle: float, other: float) -> Reply:
    """A valid response."""
    return response({"bicycle": bicycle, "motorcycle": motorcycle, "other": other})


def fault(status: int, code: str) -> Reply:
    """An error of SageMaker Runtime."""
    body = json.dumps({"message": "injected", "Message": "injected"}).encode()
    return Reply(status, body, {"Content-Type": "application/json", "X-Amzn-ErrorType": code})


CONFIDENT = probabilities(0.97, 0.02, 0.01)
INTERNAL_FAILURE = fault(500, "InternalFailure")
UNAVAILABLE = fault(503, "ServiceUnavailable")
THROTTLED = fault(429, "ThrottlingException")
MODEL_ERROR = fault(424, "ModelError")
NO_ENDPOINT = fault(400, "ValidationError")
CLOSE = Reply(0)  # closes the connection without a response
HANG = Reply(-1)  # sends no response until the caller gives up
LONGEST_DELAY = 5.0  # seconds; the function gives up after 15
Plan = Callable[[bytes], Reply | None]  # None: the response of the serving app


class Endpoint(ThreadingHTTPServer):
    """A server in front of the serving app. A plan can replace the app's responses."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, app_port: int) -> None:
        super().__init__(("127.0.0.1", 0), EndpointRequest)
        self.app_port = app_port
        self.plan: Plan = lambda _photo: None
        self.requests = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.slots: queue.SimpleQueue[float] | None = None
        self.refused: list[Reply] = []

    def reply(self, photo: bytes) -> Reply | None:
        """The reply that the plan gives to a photo; one photo at a time."""
        with self.lock:
            self.requests += 1
            return self.plan(photo)

    @contextmanager
    def planning(self, plan: Plan) -> Iterator[None]:
        """Reply by this plan."""
        before, self.plan = self.plan, plan
        try:
            yield
        finally:
            self.plan = before

    @contextmanager
    def starting_cold(self, slots: int, seconds: float) -> Iterator[list[Reply]]:
        """Behave like a cold serverless endpoint.

        Args:
            slots: how many photos it takes at once. It throttles all others.
            seconds: how long a slot takes for its first photo. If it has throttled nothing
                by then (on a busy machine), it takes a little longer.

        Yields the throttled requests so far.
        """
        before, self.slots = self.slots, queue.SimpleQueue()
        refused: list[Reply] = []
        for _ in range(slots):
            self.slots.put(seconds)
        self.refused = refused
        try:
            yield refused
        finally:
            self.slots = before

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Take a slot and wait until it has started; False if none is free."""
        slots = self.slots
        if slots is None:
            yield True
            return
        try:
            seconds = slots.get_nowait()
        except queue.Empty:
            self.refused.append(THROTTLED)
            yield False
            return
        if seconds:
            self.closing.wait(seconds)
            late = time.monotonic() + LONGEST_DELAY
            while not self.refused and time.monotonic() < late and not self.closing.is_set():
                self.closing.wait(0.1)
        yield True
        slots.put(0.0)

    @contextmanager
    def responding(self, *replies: Reply, then: Reply | None = None) -> Iterator[None]:
        """Give one of these replies to each request, and `then` to all later requests."""
        given = iter(replies)
        with self.planning(lambda _photo: next(given, then)):
            yield


class EndpointRequest(BaseHTTPRequestHandler):
    """One request to the endpoint."""

    server: Endpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        photo = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.slot() as free:
            self.send(photo, self.server.reply(photo) if free else THROTTLED)

    def send(self, photo: bytes, reply: Reply | None) -> None:
        """Send a reply. None: send the response of the serving app."""
        if reply is None:
            reply = self.forward(photo)
        if reply is HANG:
            self.server.closing.wait(PATIENCE)
        if reply in (HANG, CLOSE):
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def forward(self, photo: bytes) -> Reply:
        """The response of the serving app."""
        app = http.client.HTTPConnection("127.0.0.1", self.server.app_port, timeout=PATIENCE)
        try:
            app.request("POST", self.path, photo, passed_on(self.headers))
            given = app.getresponse()
            headers = passed_on(given.headers)
            return Reply(given.status, given.read(), headers)
        finally:
            app.close()

    def log_message(self, *_: Any) -> None:
        """Write no log: the tests check the responses."""


def passed_on(headers: Message) -> dict[str, str]:
    """The headers that SageMaker passes on between caller and container."""
    return {
        name: value
        for name, value in headers.items()
        if name.lower().startswith(("content-type", "x-amzn-"))
    }
