"""Responses of the endpoint: which of them are inferences, and which are errors."""

import base64
import io
import json
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

LABELS = ["bicycle", "motorcycle", "other"]
INFERENCES = {"bicycle": 0.97, "motorcycle": 0.02, "other": 0.01}
JPEG = b"\xff\xd8\xff\xe0 a photo"


@pytest.fixture(scope="module")
def reader(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("classify_image", "inferences")


@pytest.mark.parametrize(
    ("body", "inferences"),
    [
        (b'{"other": 0.01, "bicycle": 0.97, "motorcycle": 0.02}', INFERENCES),
        (b"[0.97, 0.02, 0.01]", INFERENCES),
        (b"[1, -0.0, 0]", {"bicycle": 1.0, "motorcycle": 0.0, "other": 0.0}),
        (b"[1, 0, 0]", {"bicycle": 1.0, "motorcycle": 0.0, "other": 0.0}),
        (b"[0.333, 0.333, 0.333]", dict.fromkeys(LABELS, 0.333)),
        (b"[1.0000001, 0, -1e-9]", {"bicycle": 1.0, "motorcycle": 0.0, "other": 0.0}),
        (b"[1, 2.9e-182, 5e-324]", {"bicycle": 1.0, "motorcycle": 0.0, "other": 0.0}),
        (b"[1, 9.9e-131, 1e-130]", {"bicycle": 1.0, "motorcycle": 0.0, "other": 1e-130}),
    ],
)
def test_valid_responses_are_inferences(
    reader: ModuleType, body: bytes, inferences: dict[str, float]
) -> None:
    found = reader.read_inferences(body, LABELS)
    assert found == inferences
    assert list(found) == LABELS
    assert all(type(value) is float for value in found.values())
    assert all(math.copysign(1, value) == 1 for value in found.values())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"0.97",
        b'"bicycle"',
        b"<html>502 Bad Gateway</html>",
        b"\xff\xfe\x00garbage",
        b"[0.97, 0.02, 0.01] trailing",
        b"[]",
        b"{}",
        b"[0.5, 0.5]",
        b"[0.25, 0.25, 0.25, 0.25]",
        b"[[0.97, 0.02, 0.01]]",
        b"[0.97, 0.02, NaN]",
        b"[Infinity, 0, 0]",
        b"[0.97, 0.02, -Infinity]",
        b"[1e999, 0, 0]",
        b"[true, false, false]",
        b'["0.97", "0.02", "0.01"]',
        b"[0.97, 0.03, null]",
        b"[1.5, -0.25, -0.25]",
        b"[0.6, 0.6, 0.6]",
        b"[0.1, 0.1, 0.1]",
        b"[0, 0, 0]",
        b'{"bicycle": 0.97, "motorcycle": 0.03}',
        b'{"bicycle": 0.97, "motorcycle": 0.02, "other": 0.01, "car": 0}',
        b'{"Bicycle": 0.97, "motorcycle": 0.02, "other": 0.01}',
        b'{"bicycle": 0.9, "bicycle": 0.1, "motorcycle": 0.8, "other": 0.1}',
        b'{"bicycle": {"p": 0.97}, "motorcycle": 0.02, "other": 0.01}',
        b'{"predictions": [0.97, 0.02, 0.01]}',
        b"[" * 100_000,
        b"[" + b"9" * 10_000 + b", 0, 0]",
    ],
)
def test_any_other_response_is_refused(reader: ModuleType, body: bytes) -> None:
    with pytest.raises(reader.InvalidInferencesError) as raised:
        reader.read_inferences(body, LABELS)
    assert len(str(raised.value)) < 300


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(st.sampled_from(LABELS) | st.text(), values, max_size=4)
    ),
    max_leaves=8,
)


@given(json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_accepted_inferences_are_a_distribution_over_the_labels(
    reader: ModuleType, body: bytes
) -> None:
    try:
        inferences = reader.read_inferences(body, LABELS)
    except reader.InvalidInferencesError:
        return
    assert list(inferences) == LABELS
    assert all(0 <= value <= 1 for value in inferences.values())
    assert sum(inferences.values()) == pytest.approx(1, abs=0.01)


@pytest.fixture
def app(load: Callable[[str, str], ModuleType], environment: pytest.MonkeyPatch) -> ModuleType:
    environment.setenv("ENDPOINT_NAME", "scones-vehicle-classifier")
    environment.setenv("LABELS", ",".join(LABELS))
    return load("classify_image", "app")


@pytest.fixture
def endpoint(app: ModuleType) -> Iterator[Stubber]:
    """SageMaker, as botocore's own model of the service checks requests and responses."""
    with Stubber(app.sagemaker_runtime) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def respond(endpoint: Stubber, body: bytes, **headers: str) -> None:
    endpoint.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(body), None), **headers},
        {
            "EndpointName": "scones-vehicle-classifier",
            "ContentType": "image/jpeg",
            "Accept": "application/json",
            "Body": JPEG,
        },
    )


def event() -> dict[str, str]:
    return {"image_data": base64.b64encode(JPEG).decode()}


@pytest.mark.parametrize(
    ("headers", "model"),
    [
        ({"CustomAttributes": "model=vehicles/3"}, "vehicles/3"),
        ({"InvokedProductionVariant": "AllTraffic"}, "AllTraffic"),
        ({"CustomAttributes": "trace=1", "InvokedProductionVariant": "blue"}, "blue"),
        ({"CustomAttributes": "trace=1,model=vehicles/3"}, "vehicles/3"),
        ({}, "scones-vehicle-classifier"),
    ],
)
def test_the_handler_returns_inferences_and_model(
    app: ModuleType, endpoint: Stubber, context: Any, headers: dict[str, str], model: str
) -> None:
    respond(endpoint, json.dumps(INFERENCES).encode(), **headers)
    assert app.handler(event(), context) == {"inferences": INFERENCES, "model": model}


@pytest.mark.parametrize(
    ("text", "novelty"),
    [
        (f"0.{'0' * 140}7", 0),
        ("0.3456", 0.3456),
        ("1.0000", 1),
        ("1.2", None),
        ("nan", None),
        ("0.5e9", None),
        ("", None),
    ],
)
def test_the_novelty_of_the_response_is_returned(
    app: ModuleType, endpoint: Stubber, context: Any, text: str, novelty: float | None
) -> None:
    attributes = f"model=vehicles/3,novelty={text},trace=1"
    respond(endpoint, json.dumps(INFERENCES).encode(), CustomAttributes=attributes)
    assert app.handler(event(), context).get("novelty") == novelty


def test_an_invalid_response_raises_with_the_name_of_the_endpoint(
    app: ModuleType, endpoint: Stubber, context: Any
) -> None:
    respond(endpoint, b"[0.6, 0.6, 0.6]")
    with pytest.raises(app.EndpointError, match=r"scones-vehicle-classifier.* add up to 1\.8"):
        app.handler(event(), context)


class Endless(io.RawIOBase):
    given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        return b" " * size


def test_reading_stops_if_a_response_is_too_long(
    app: ModuleType, endpoint: Stubber, context: Any
) -> None:
    body = Endless()
    endpoint.add_response("invoke_endpoint", {"Body": StreamingBody(body, None)})
    with pytest.raises(app.EndpointError, match="longer than 65536 bytes"):
        app.handler(event(), context)
    assert 0 < body.given < 100_000


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ServiceUnavailable", 503),
        ("ModelError", 424),
        ("ValidationError", 400),
        ("AccessDeniedException", 403),
    ],
)
def test_a_fault_of_the_endpoint_raises_with_its_name_and_the_cause(
    app: ModuleType, endpoint: Stubber, context: Any, code: str, status: int
) -> None:
    endpoint.add_client_error("invoke_endpoint", code, "no response", status)
    with pytest.raises(
        app.EndpointError, match=f"scones-vehicle-classifier: .*{code}.*no response"
    ):
        app.handler(event(), context)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 429),
        ("ThrottlingException", 400),
        ("ModelNotReadyException", 429),
        ("TooManyRequests", 429),
    ],
)
def test_a_busy_endpoint_raises_an_error_of_its_own(
    app: ModuleType, endpoint: Stubber, context: Any, code: str, status: int
) -> None:
    endpoint.add_client_error("invoke_endpoint", code, "not now", status)
    with pytest.raises(app.EndpointBusyError, match=f"scones-vehicle-classifier: .*{code}"):
        app.handler(event(), context)


def test_an_endpoint_that_cannot_be_reached_raises_at_once(
    app: ModuleType, context: Any, environment: pytest.MonkeyPatch, load: Any
) -> None:
    environment.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:9")  # discard: shut
    app = load("classify_image", "app")
    with pytest.raises(
        app.EndpointError, match="scones-vehicle-classifier: Could not connect"
    ) as e:
        app.handler(event(), context)
    assert isinstance(e.value.__cause__, EndpointConnectionError)


def test_the_client_times_out_before_the_function_and_does_not_retry(
    app: ModuleType,
) -> None:
    config = app.sagemaker_runtime.meta.config
    assert config.connect_timeout + config.read_timeout < 15
    assert config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize("image_data", ["not base64!", "YQ", "é"])
def test_an_input_that_is_not_base64_raises(app: ModuleType, context: Any, image_data: str) -> None:
    with pytest.raises(ValueError, match=r"base64|padd|ASCII"):
        app.handler({"image_data": image_data}, context)
