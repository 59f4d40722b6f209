"""Awkward files of the real world, each with the outcome that its manifest calls for."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.cloud import CONCURRENT_FUNCTIONS
from tests.support.odd_images import (
    CASE_FILES,
    CASES,
    ODD_IMAGES,
    needs_cases,
    needs_odd_images,
    odd_images,
)
from tests.support.records import assert_recorded
from tests.support.stack import Outcome, Stack, standard_only


@standard_only
@needs_odd_images
@needs_cases
def test_odd_files_of_the_shared_data_are_classified_or_refused(stack: Stack) -> None:
    reasons = {ODD_IMAGES / name: reason for name, reason in odd_images().items()}
    assert len(reasons) == 59
    reasons |= dict.fromkeys((CASES / name for name in CASE_FILES), None)

    def upload(path: Path) -> Outcome:
        return stack.upload(path.read_bytes(), f"uploads/odd/{path.name}")

    with ThreadPoolExecutor(CONCURRENT_FUNCTIONS) as courier:
        outcomes = dict(zip(reasons, courier.map(upload, reasons), strict=True))
    for path, reason in reasons.items():
        outcome = outcomes[path]
        record = assert_recorded(outcome, outcome.values["status"])
        assert outcome.status == "SUCCEEDED", path
        assert ("inferences" in record) == (reason is None), (path, record["reason"])
        if reason:
            assert (record["status"], record["reason"]) == ("rejected", reason), path
