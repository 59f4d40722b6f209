"""Drift is counted and reported for windows of hours."""

import json
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.support.drift import METADATA, MODEL, NOON, SHIPPED, record, traffic


@pytest.fixture(scope="module")
def formulas(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("measure_drift", "formulas")


@pytest.fixture(scope="module")
def report(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("measure_drift", "report")


# ── Counts ──


def test_the_counts_of_the_confidence_are_those_of_numpy(report):
    generator = np.random.default_rng(0)
    confidences = [*(generator.random(2000).round(6)), 0.0, 0.29, 0.57, 0.58, 1.0, 0.95, 0.99]
    window = report.Window("2026-11-20T12")
    window.count(record(confidence=float(each)) for each in confidences)
    tally = window.models[MODEL]
    theirs, _ = np.histogram(confidences, [round(at / 100, 2) for at in range(101)])
    assert tally.confidence == theirs.tolist()
    assert tally.predictions == len(confidences)
    assert tally.confidence_sum == pytest.approx(sum(confidences))


def test_photos_without_a_prediction_are_counted_without_a_model(report):
    window = report.Window("2026-11-20T12")
    unreadable = {"status": {"S": "rejected"}, "recorded_at": {"S": NOON.isoformat()}}
    window.count([record(), unreadable, record(status="failed"), {"status": {"S": "failed"}}])
    assert (window.unreadable, window.failed) == (1, 2)
    assert window.models[MODEL].predictions == 1


def test_novelty_has_the_mean_and_deviation_of_numpy(report):
    values = np.random.default_rng(0).random(500).round(4).tolist()
    halves = report.Tally(), report.Tally()
    for tally, part in zip(halves, (values[:200], values[200:]), strict=True):
        window = report.Window("2026-11-20T12", {MODEL: tally})
        window.count([record(novelty=each) for each in part] + [record()])
    halves[0].add(halves[1])
    novelty = halves[0].novelty
    assert novelty.count == 500
    assert (novelty.mean, novelty.deviation) == pytest.approx((np.mean(values), np.std(values)))
    assert report.Tally().novelty.mean is report.Tally().novelty.deviation is None


def test_a_window_is_the_same_after_json(report):
    window = report.Window("2026-11-20T12", unreadable=3)
    window.count([record("other", 0.6, "review", reviewed="bicycle", model="b/2")])
    window.count([record(novelty=0.25)])
    kept = json.loads(json.dumps(asdict(window)))
    assert report.Window.from_json(kept) == window


# ── Reports ──


def described(report: ModuleType, windows: list[Any], metadata: Any = METADATA) -> dict[str, Any]:
    baseline = report.Baseline.from_metadata(metadata) if metadata else None
    result: dict[str, Any] = report.describe(MODEL, windows, baseline, 0.25)
    return result


def test_traffic_like_the_baseline_has_no_drift_and_no_drop(report):
    found = described(report, traffic(report))
    assert found["predictions"] >= 500
    assert found["drift"] < 0.1
    assert found["accuracy_drop"] < 1
    assert found["measured_accuracy_low"] < 0.92 < found["measured_accuracy_high"]
    assert found["estimated_accuracy"] == pytest.approx(0.92, abs=0.02)
    assert 0.2 < found["review_rate"] < 0.4


def test_a_report_covers_the_fewest_hours_with_enough_predictions(report):
    assert described(report, traffic(report, hours=3, photos=600))["hours"] == 1
    assert described(report, traffic(report, hours=30, photos=40))["hours"] == 13


def test_a_fall_of_confidence_is_an_accuracy_drop_before_any_review(report):
    windows = traffic(report, hours=13, mean=0.87, audited=0) + traffic(report)
    found = described(report, windows)
    assert found["accuracy_drop"] >= 1
    assert found["accuracy_drop_seen_in"] == "confidence"
    assert found["confidence_drift"] > 0.1


def test_photos_unlike_the_training_photos_are_an_accuracy_drop_at_any_confidence(report):
    windows = traffic(report, hours=13, novelty=0.45, audited=0) + traffic(report)
    found = described(report, windows)
    assert found["accuracy_drop"] >= 1
    assert found["accuracy_drop_seen_in"] == "novelty"
    assert found["novelty"] == pytest.approx(0.45, abs=0.02)
    assert found["confidence_drift"] < 0.1


@pytest.mark.parametrize("lacking", ["model", "baseline", "spread"])
def test_a_novelty_that_is_not_known_is_not_an_accuracy_drop(report, lacking):
    known = {"mean_novelty": None if lacking == "baseline" else 0.1}
    known |= {"novelty_deviation": 0.0 if lacking == "spread" else 0.15}
    windows = traffic(report, novelty=None if lacking == "model" else 0.35)
    metadata = METADATA | {"baseline": METADATA["baseline"] | known}
    found = described(report, windows, metadata)
    assert found["accuracy_drop"] < 1
    assert (found["novelty"] is None) is (lacking == "model")


def test_one_photo_below_the_threshold_is_no_drop_even_if_the_baseline_has_none(report):
    always = {"confidence": [0, 0, 0, 0, 0, 1], "mean_confidence": 0.995}
    metadata = METADATA | {"baseline": METADATA["baseline"] | always}
    quiet = report.Window("2026-11-20T11")
    quiet.count(record(confidence=0.995) for _ in range(200))
    newest = report.Window("2026-11-20T12")
    newest.count([record(confidence=0.4)])
    found = described(report, [newest, quiet], metadata)
    assert found["accuracy_drop"] < 1
    newest.count(record(confidence=0.4) for _ in range(20))
    assert described(report, [newest, quiet], metadata)["accuracy_drop"] >= 1


def test_the_accuracy_drop_ends_soon_after_its_cause(report):
    night = traffic(report, hours=12, photos=60, mean=0.75, audited=0)
    assert described(report, night)["accuracy_drop"] == pytest.approx(1.2)
    day = traffic(report, hours=6, photos=60, audited=0, seed=2)
    assert described(report, day + night)["accuracy_drop"] < 1


def test_mistakes_above_the_threshold_are_found_by_the_audit(report):
    windows = traffic(report, hours=40, audited=0.2, above=0.9) + traffic(report)
    found = described(report, windows)
    assert found["accuracy_drop"] >= 1
    assert found["accuracy_drop_seen_in"] == "above_threshold"
    assert found["measured_accuracy"] < 0.9


def test_a_baseline_of_few_reviews_is_not_taken_as_exact(report, formulas):
    """After 20 reviews without a mistake, 5 mistakes in 80 are possible without a drop."""
    tally = report.Tally(confidence_sum=1840.0)
    tally.statuses["accepted"] = formulas.Stratum(2000, 80, 75)
    windows = [report.Window("2026-11-20T12", {MODEL: tally})]
    flawless = {"share": 1.0, "accuracy": 1.0}
    none = {"share": 0.0, "accuracy": None}
    for reviewed, alarm in ((None, True), (20, False)):
        status = flawless if reviewed is None else flawless | {"reviewed": reviewed}
        statuses = {"accepted": status, "review": none, "rejected": none}
        changed = METADATA["baseline"] | {"count": 2000, "statuses": statuses}
        drop = described(report, windows, METADATA | {"baseline": changed})["accuracy_drop"]
        assert (drop >= 1) is alarm


def test_other_shares_of_the_labels_are_drift(report):
    labels = {"bicycle": 0.1, "motorcycle": 0.1, "scooter": 0.8}
    found = described(report, traffic(report, labels=labels))
    assert found["label_drift"] > 0.25
    assert found["confidence_drift"] < 0.1
    assert found["drift"] == found["label_drift"]


def test_too_few_predictions_give_no_values_and_no_alarm(report):
    """60 photos of one label, a third of them classified incorrectly: it may be chance."""
    windows = traffic(report, hours=1, photos=60, labels={"other": 1.0}, above=0.67)
    found = described(report, windows)
    for name in ("confidence_drift", "estimated_accuracy", "review_rate", "measured_accuracy"):
        assert found[name] is None, name
    assert found["accuracy_drop"] < 1


def test_accuracy_is_not_measured_without_an_audit(report):
    """Without a review above the threshold, the accuracy there is not known."""
    assert described(report, traffic(report, audited=0))["measured_accuracy"] is None


def test_accuracy_is_not_measured_while_one_stratum_has_no_reviews(report, formulas):
    """A small stratum hardly widens the interval, but its accuracy is not known."""
    tally = report.Tally()
    tally.statuses["accepted"] = formulas.Stratum(450, 200, 198)
    windows = [report.Window("2026-11-20T12", {MODEL: tally})]
    assert described(report, windows)["measured_accuracy"] == pytest.approx(0.99)
    tally.statuses["review"] = formulas.Stratum(50, 0, 0)
    assert described(report, windows)["measured_accuracy"] is None
    tally.statuses["review"] = formulas.Stratum(50, 20, 15)
    assert described(report, windows)["measured_accuracy"] == pytest.approx(0.966)


def test_predictions_of_other_models_do_not_count(report):
    windows = traffic(report, hours=2, photos=300)
    before = described(report, windows)
    windows[0].count([record(confidence=0.4, status="review", model="other/9")] * 300)
    assert described(report, windows) == before


def test_without_a_baseline_the_report_has_accuracy_and_review_rate(report):
    found = described(report, traffic(report), metadata=None)
    assert found["drift"] is found["accuracy_drop"] is None
    assert found["measured_accuracy"] is not None
    assert found["review_rate"] is not None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda baseline: baseline.pop("statuses"), "no complete baseline"),
        (lambda baseline: baseline.pop("mean_confidence"), "no complete baseline"),
        (lambda baseline: baseline.update(confidence=[1.0]), "does not fit"),
        (lambda baseline: baseline.update(count=0), "does not fit"),
        (lambda baseline: baseline["confidence_edges"].__setitem__(1, 0.333), "hundredths"),
    ],
)
def test_an_incomplete_baseline_is_refused(report, change, problem):
    metadata = json.loads(json.dumps(METADATA))
    change(metadata["baseline"])
    with pytest.raises(ValueError, match=problem):
        report.Baseline.from_metadata(metadata)


def test_the_shipped_model_has_a_baseline(report):
    baseline = report.Baseline.from_metadata(json.loads(SHIPPED.read_text()))
    assert 0.5 < baseline.mean_confidence < 1
    assert baseline.above_threshold.accuracy > baseline.below_threshold.accuracy
