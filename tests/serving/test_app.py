"""What a caller of the serving app relies on: SageMaker, the local cloud, a person with curl."""

import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.odd_images import (
    CASE_FILES,
    CASES,
    ODD_IMAGES,
    needs_cases,
    needs_odd_images,
    odd_images,
)
from tests.support.serving import (
    COLOURS,
    Response,
    Server,
    draw_photo,
    read_response,
)
from tests.support.waiting import PATIENCE, wait_until

MEGABYTE = 1024**2


def assert_refused(response: Response, status: int, code: str, reason: str) -> None:
    assert (response.status, response.body["code"]) == (status, code)
    assert reason in response.body["message"]


# -- responses ----------------------------------------------------------------------------------


def test_the_health_check_succeeds(server: Server) -> None:
    assert server.request("GET", "/ping").status == 200


@pytest.mark.parametrize(("label", "colour"), COLOURS.items())
def test_the_response_has_a_probability_for_each_label(
    server: Server, label: str, colour: str
) -> None:
    response = server.infer(draw_photo(colour))
    assert response.status == 200
    assert list(response.body) == list(COLOURS)
    assert sum(response.body.values()) == pytest.approx(1, abs=1e-5)
    assert response.body[label] > 0.9
    assert response.headers["x-amzn-sagemaker-custom-attributes"] == "model=colours/1"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"])
def test_every_image_format_is_classified(server: Server, form: str) -> None:
    response = server.infer(draw_photo("lime", form=form), "application/octet-stream")
    assert response.body["motorcycle"] > 0.9


@pytest.mark.parametrize(
    "content_type",
    # The last but one is the content type of curl --data-binary.
    ["image/jpeg", "application/x-image", "application/x-www-form-urlencoded", None],
)
def test_the_format_follows_from_the_bytes_not_from_the_content_type(
    server: Server, content_type: str | None
) -> None:
    assert server.infer(draw_photo("red"), content_type).status == 200


def test_a_connection_serves_several_requests(server: Server) -> None:
    connection = server.connect()
    for label, colour in COLOURS.items():
        connection.request(
            "POST", "/invocations", draw_photo(colour), {"Content-Type": "image/jpeg"}
        )
        assert read_response(connection).body[label] > 0.9
    connection.close()


def test_concurrent_requests_get_their_own_responses(server: Server) -> None:
    photos = [
        draw_photo(colour, size) for colour in COLOURS.values() for size in ((9, 99), (640, 480))
    ]
    alone = [server.infer(photo).body for photo in photos]
    with ThreadPoolExecutor(16) as callers:
        together = list(callers.map(lambda photo: server.infer(photo).body, photos * 20))
    assert together == alone * 20


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not a photo"),
        (b"<!doctype html><title>photo</title>", "not a photo"),
        (draw_photo("red", (640, 480))[:-400], "damaged"),
        (draw_photo("red", (12_000, 12_000), "GIF"), "too many pixels"),
    ],
    ids=["empty", "text", "html", "truncated", "144 megapixels"],
)
def test_a_file_that_is_not_a_photo_is_refused_with_the_reason(
    server: Server, body: bytes, reason: str
) -> None:
    assert_refused(server.infer(body), 400, "BadRequest", reason)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused_and_not_kept(server: Server, *, chunked: bool) -> None:
    before = peak_memory(server)
    chunks = (bytes(MEGABYTE) for _ in range(200))
    refusal = server.infer(chunks if chunked else bytes(200 * MEGABYTE))
    assert_refused(refusal, 413, "ContentTooLarge", "25 MB")
    assert peak_memory(server) - before < 100 * MEGABYTE


def peak_memory(server: Server) -> int:
    """The peak resident memory of the process, in bytes (Linux)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("path", ["/", "/invocation", "/endpoints/x", "/endpoints/a/b/invocations"])
def test_an_unknown_path_gets_404(server: Server, path: str) -> None:
    refusal = server.request("POST", path, b"photo")
    assert_refused(refusal, 404, "NotFound", "POST /invocations")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/invocations"), ("PUT", "/invocations"), ("POST", "/ping")]
)
def test_a_wrong_method_gets_405(server: Server, method: str, path: str) -> None:
    refusal = server.request(method, path)
    assert_refused(refusal, 405, "MethodNotAllowed", "POST /invocations")
    assert refusal.headers["allow"]


def test_a_client_that_does_not_send_its_photo_is_disconnected(
    start: Callable[..., Server],
) -> None:
    program = "from serving import app; app.READ_SECONDS = 0.2; app.main()"
    impatient = start(command=[sys.executable, "-c", program])
    connection = half_sent(impatient)
    assert_refused(read_response(connection), 408, "RequestTimeout", "did not arrive")
    connection.close()
    assert impatient.infer(draw_photo("red")).status == 200


def test_a_fault_is_a_500_with_its_details_in_the_log_only(
    start: Callable[..., Server],
) -> None:
    program = "from serving import app; app.preprocess = lambda *_: 1 / 0; app.main()"
    faulty = start(command=[sys.executable, "-c", program])
    refusal = faulty.infer(draw_photo("red"))
    assert_refused(refusal, 500, "InternalServerError", "see the log")
    assert "ZeroDivision" not in json.dumps(refusal.body)
    wait_until(lambda: "ZeroDivisionError" in json.dumps(faulty.log), "the fault in the log")


damaged_jpegs = st.builds(
    lambda photo, at, junk: photo[:at] + junk + photo[at + len(junk) :],
    st.just(draw_photo("red")),
    st.integers(0, 800),
    st.binary(min_size=1, max_size=40),
)
false_images = st.builds(
    bytes.__add__,
    st.sampled_from(
        [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF"]
    ),
    st.binary(max_size=200),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=2000) | damaged_jpegs | false_images)
def test_any_bytes_get_probabilities_or_a_reason(server: Server, body: bytes) -> None:
    response = server.infer(body)
    if response.status == 200:
        assert sum(response.body.values()) == pytest.approx(1, abs=1e-5)
    else:
        assert response.status == 400
        assert response.body["message"]


@pytest.mark.parametrize(
    "garbage",
    [b"\0\xff\n\n\n", b"GET\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
)
def test_bytes_that_are_not_http_do_not_stop_the_server(server: Server, garbage: bytes) -> None:
    with socket.create_connection((server.host, server.port), PATIENCE) as connection:
        connection.sendall(garbage)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert server.request("GET", "/ping").status == 200


@needs_odd_images
def test_odd_files_of_the_shared_data_are_classified_or_refused(server: Server) -> None:
    for name, reason in odd_images().items():
        response = server.infer((ODD_IMAGES / name).read_bytes())
        assert response.status == (400 if reason else 200), (name, response)
        assert not reason or response.body["message"] == reason, name


@needs_cases
@pytest.mark.parametrize("name", CASE_FILES)
def test_a_photo_that_viewers_show_whole_is_classified(server: Server, name: str) -> None:
    assert server.infer((CASES / name).read_bytes()).status == 200


# -- load -------------------------------------------------------------------------------------


def half_sent(server: Server, photo: bytes = draw_photo("red")) -> HTTPConnection:
    """A request that has a place in the server, and has sent all but its last byte."""
    connection = server.connect()
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str(len(photo)))
    connection.endheaders(photo[:-1])
    return connection


@pytest.fixture
def all_places(server: Server) -> Iterator[Callable[[], list[HTTPConnection]]]:
    """Fill every place of the server with half-sent requests; return their connections."""
    with ExitStack() as stack:

        def fill() -> list[HTTPConnection]:
            taken: list[HTTPConnection] = []
            while server.infer(draw_photo("red")).status == 200:
                connection = half_sent(server)
                stack.callback(connection.close)
                taken.append(connection)
                assert len(taken) < 200, "the waiting line has no end"
            return taken

        yield fill


def test_requests_above_the_limit_get_503_and_the_others_a_response(
    server: Server, slow_photo: bytes
) -> None:
    photos = [slow_photo, draw_photo("lime")] * 48
    with ThreadPoolExecutor(len(photos)) as callers:
        responses = [callers.submit(server.infer, photo) for photo in photos]
        started = time.monotonic()
        assert server.request("GET", "/ping").status == 200
        assert time.monotonic() - started < 2, "SageMaker's limit for a health check"
        responses = [response.result(PATIENCE) for response in responses]
    assert {response.status for response in responses} == {200, 503}
    for response, label in zip(responses, ["bicycle", "motorcycle"] * 48, strict=True):
        if response.status == 200:
            assert response.body[label] > 0.9
        else:
            assert_refused(response, 503, "ServiceUnavailable", "too many requests")
            assert response.headers["retry-after"] == "1"
    assert server.infer(draw_photo("red")).status == 200


def test_every_request_with_a_place_gets_a_response(
    server: Server, all_places: Callable[[], list[HTTPConnection]]
) -> None:
    waiting = all_places()
    assert server.infer(bytes(20 * MEGABYTE)).status == 503  # and not a broken connection
    for connection in waiting:
        connection.send(draw_photo("red")[-1:])
    assert [read_response(connection).status for connection in waiting] == [200] * len(waiting)


def test_a_client_that_disconnects_frees_its_place(
    server: Server, all_places: Callable[[], list[HTTPConnection]], slow_photo: bytes
) -> None:
    waiting = all_places()
    for connection in waiting:
        connection.close()
    for _ in range(10):  # disconnect while the server works on their photo
        connection = half_sent(server, slow_photo)
        connection.send(slow_photo[-1:])
        connection.close()
    again: list[HTTPConnection] = []

    def all_free_again() -> bool:
        again.extend(all_places())
        return len(again) == len(waiting)

    wait_until(all_free_again, "all places free again")


def test_open_requests_are_finished_after_sigterm(
    start: Callable[..., Server], slow_photo: bytes
) -> None:
    stopping = start()
    in_work = [half_sent(stopping, slow_photo) for _ in range(16)]
    assert stopping.request("GET", "/ping").status == 200  # so the server has read the sixteen
    stopping.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not accepts(stopping), "the port closed")
    assert stopping.process.poll() is None
    for connection in in_work:
        connection.send(slow_photo[-1:])
    assert [read_response(connection).body["bicycle"] > 0.9 for connection in in_work] == [
        True
    ] * 16
    assert stopping.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once(start: Callable[..., Server], number: int) -> None:
    idle = start()
    idle.process.send_signal(number)
    assert idle.process.wait(PATIENCE) == 0
    assert [line["message"] for line in idle.log] == ["serving"]


def accepts(server: Server) -> bool:
    try:
        socket.create_connection((server.host, server.port), PATIENCE).close()
    except ConnectionError:
        return False
    return True


# -- through boto3, as the Lambda calls it ----------------------------------------------------


@pytest.fixture
def runtime(server: Server) -> Any:
    return server.runtime()


def test_boto3_gets_the_response_of_invoke_endpoint(runtime: Any) -> None:
    response = runtime.invoke_endpoint(
        EndpointName="scones-unlimited", Body=draw_photo("blue"), ContentType="image/jpeg"
    )
    assert json.load(response["Body"])["other"] > 0.9
    assert response["ContentType"] == "application/json"
    assert response["CustomAttributes"] == "model=colours/1"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b"hello", "image/jpeg", 400, "not a photo"),
        (bytes(26 * MEGABYTE), "image/jpeg", 413, "25 MB"),
    ],
)
def test_boto3_raises_the_errors_of_sagemaker(
    runtime: Any, body: bytes, content_type: str, status: int, reason: str
) -> None:
    with pytest.raises(runtime.exceptions.ModelError) as error:
        runtime.invoke_endpoint(EndpointName="any", Body=body, ContentType=content_type)
    response = error.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert reason in json.loads(response["OriginalMessage"])["message"]
    assert f"Received client error ({status}) from primary" in str(error.value)


def test_boto3_raises_an_error_on_overload(
    runtime: Any, all_places: Callable[[], list[HTTPConnection]]
) -> None:
    all_places()
    with pytest.raises(runtime.exceptions.ModelError, match=r"server error \(503\)") as error:
        runtime.invoke_endpoint(
            EndpointName="any", Body=draw_photo("red"), ContentType="image/jpeg"
        )
    assert error.value.response["OriginalStatusCode"] == 503
