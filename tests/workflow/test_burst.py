"""A burst: many uploads, an endpoint that often fails, events that arrive twice."""

import io
import random
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from local.cloud import CONCURRENT_FUNCTIONS
from tests.support.endpoint import (
    CLOSE,
    CONFIDENT,
    INTERNAL_FAILURE,
    MODEL_ERROR,
    UNAVAILABLE,
    Reply,
    response,
)
from tests.support.records import assert_recorded
from tests.support.stack import BURST_WAIT_SCALE, Outcome, Stack, standard_only

UPLOADS = 100
REPEATED = 10  # of the uploads; their events arrive twice
DOOMED = 5  # of the uploads; the endpoint always fails for them
FAULT_RATE = 0.2
COLD_PHOTOS = 24  # sent to a cold endpoint
SLOTS = 1  # photos that the cold endpoint takes at once
AT_ONCE = 6  # photos in flight: enough for the slot, few enough for two busy cores
COLD_START_SECONDS = 8
COLD_WAIT_SCALE = 0.5  # of the retries and of the cold start
FAULTS = [INTERNAL_FAILURE, UNAVAILABLE, MODEL_ERROR, CLOSE, response([1])]
ATTEMPTS = 3  # to ask the endpoint, before a photo is recorded as failed
# With more in flight, JSONata expressions exceed the one second that the local cloud gives them.
IN_FLIGHT = CONCURRENT_FUNCTIONS


class BadDay:
    """A plan of the endpoint: it always fails for red photos and often for others."""

    def __init__(self) -> None:
        self.random = random.Random(2)
        self.faults = 0

    def __call__(self, photo: bytes) -> Reply:
        red = Image.open(io.BytesIO(photo)).convert("RGB").getpixel((0, 0))[0]
        if red < 128 and self.random.random() >= FAULT_RATE:
            return CONFIDENT
        self.faults += 1
        return self.random.choice(FAULTS)


@standard_only
def test_every_upload_of_a_burst_is_recorded_once(stack: Stack) -> None:
    before = stack.executions()
    photos = [stack.photo(red=255 if number < DOOMED else 0) for number in range(UPLOADS)]
    repeated = set(photos[-REPEATED:])
    random.Random(1).shuffle(photos)

    def send(photo: bytes) -> str:
        # A key of its own: the local cloud's events name no version, so the newest would be read.
        image_id = stack.put(photo, f"uploads/42/{photos.index(photo)}.jpg")
        if photo in repeated:
            stack.start(stack.event(*image_id.split("#")))
        stack.execution_of(image_id)
        return image_id

    day = BadDay()
    with stack.waits(BURST_WAIT_SCALE), stack.endpoint.planning(day):
        with ThreadPoolExecutor(IN_FLIGHT) as couriers:
            outcomes: dict[str, list[Outcome]] = {each: [] for each in couriers.map(send, photos)}
        executions = stack.executions() - before
        for execution in executions:
            stack.ended(execution)

    for execution in executions:
        outcome = stack.outcome(execution)
        outcomes[outcome.image_id].append(outcome)
    assert len(outcomes) == UPLOADS
    assert len(executions) == UPLOADS + REPEATED
    failures = [
        failure for several in outcomes.values() for each in several for failure in each.failures
    ]
    assert ATTEMPTS * DOOMED < sum(map(is_of_the_endpoint, failures)) <= day.faults
    assert [failure for failure in failures if not is_expected(failure)] == []

    failed = []
    for several in outcomes.values():
        recorded = [each for each in several if each.states[-1] != "AlreadyRecorded"]
        status = "failed" if recorded[0].values["status"] == "failed" else "accepted"
        assert_recorded(recorded[0], status, events=len(recorded))
        if status == "failed":
            for each in recorded:
                asked = [failure for failure in each.failures if not is_throttled(failure)]
                assert len(asked) == ATTEMPTS, asked
            failed.append(recorded[0])
        else:
            assert [event["status"] for event in recorded[0].events].count("accepted") == 1
    assert len(failed) >= DOOMED

    with stack.endpoint.responding(then=CONFIDENT):
        for outcome in failed:
            healed = stack.rerun(outcome)
            assert_recorded(healed, "accepted", events=len(outcome.events) + 1)


@standard_only
def test_a_burst_on_a_cold_serverless_endpoint_loses_no_photo(stack: Stack) -> None:
    photos = [stack.photo() for _ in range(COLD_PHOTOS)]

    def send(photo: bytes) -> str:
        image_id = stack.put(photo, f"uploads/42/at-once/{photos.index(photo)}.jpg")
        stack.execution_of(image_id)
        return image_id

    with (
        stack.waits(COLD_WAIT_SCALE),
        stack.endpoint.responding(then=CONFIDENT),
        stack.endpoint.starting_cold(SLOTS, COLD_START_SECONDS * COLD_WAIT_SCALE) as refused,
        ThreadPoolExecutor(AT_ONCE) as couriers,
    ):
        sent = set(couriers.map(send, photos))
    statuses = [event["status"] for image_id in sent for event in stack.events[image_id]]
    assert statuses == ["accepted"] * COLD_PHOTOS, stack.last_failures()
    assert refused


def is_of_the_endpoint(failure: str) -> bool:
    return "endpoint scones-vehicle-classifier" in failure


def is_throttled(failure: str) -> bool:
    return "TooManyRequestsException" in failure


def is_expected(failure: str) -> bool:
    """A failure of the endpoint, of a repeated event, or of a busy machine."""
    return (
        is_of_the_endpoint(failure)
        or is_throttled(failure)
        or failure.startswith(("DynamoDB.ConditionalCheckFailedException", "States.Timeout"))
    )
