"""Temperature, calibration error and the threshold."""

import numpy as np
import pytest

from training.source import calibration


def sampled(count: int, sharpness: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from exactly the probabilities that they mean."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 3))
    probabilities = calibration.softmax(logits)
    labels = (probabilities.cumsum(1) < random.random((count, 1))).sum(1)
    return logits * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_over_and_under_confidence(sharpness):
    logits, labels = sampled(6000, sharpness)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(sharpness, rel=0.08)


def test_calibration_error_sees_overconfidence():
    logits, labels = sampled(20_000)
    honest = calibration.expected_calibration_error(calibration.softmax(logits), labels)
    boastful = calibration.expected_calibration_error(calibration.softmax(logits * 3), labels)
    assert honest < 0.02
    assert boastful > 0.1


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1, 0.0]] * 4)
    labels = np.array([0, 0, 1, 1])
    assert calibration.expected_calibration_error(probabilities, labels) == pytest.approx(0.4)


def test_operate_by_hand():
    probabilities = np.array(
        [
            [0.95, 0.03, 0.02],  # a bicycle, accepted
            [0.40, 0.55, 0.05],  # a bicycle, named motorcycle, not sure enough
            [0.05, 0.90, 0.05],  # a bicycle, named motorcycle, accepted
            [0.02, 0.03, 0.95],  # no vehicle, kept out
            [0.85, 0.05, 0.10],  # no vehicle, accepted
        ]
    )
    labels = np.array([0, 0, 0, 2, 2])
    operation = calibration.operate(probabilities, labels, 0.8)
    assert operation.coverage == pytest.approx(2 / 3)
    assert operation.accuracy == pytest.approx(1 / 2)
    assert operation.other_accepted == pytest.approx(1 / 2)


def test_the_threshold_is_the_lowest_that_keeps_both_promises():
    logits, labels = sampled(20_000)
    curve = calibration.coverage_curve(calibration.softmax(logits), labels)
    threshold = calibration.choose_threshold(curve)
    for operation in curve:
        keeps = (
            operation.accuracy >= calibration.ACCEPTED_ACCURACY
            and operation.other_accepted <= calibration.OTHER_ACCEPTED
        )
        if operation.threshold >= threshold:
            assert keeps
        elif operation.threshold == pytest.approx(threshold - 0.005):
            assert not keeps


def test_without_a_good_threshold_the_strictest_is_taken():
    probabilities = np.tile([0.999, 0.0005, 0.0005], (100, 1))
    labels = np.arange(100) % 3
    curve = calibration.coverage_curve(probabilities, labels)
    assert calibration.choose_threshold(curve) == curve[-1].threshold == 0.995


def test_the_baseline_counts_every_prediction():
    logits, labels = sampled(1000)
    novelty = np.linspace(0, 1, 1000)
    baseline = calibration.baseline(calibration.softmax(logits * 50), novelty, labels, 0.9)
    assert baseline["count"] == 1000
    assert sum(baseline["labels"].values()) == pytest.approx(1, abs=1e-3)
    assert sum(baseline["confidence"]) == pytest.approx(1, abs=1e-3)
    assert len(baseline["confidence"]) == len(baseline["confidence_edges"]) - 1
    statuses = baseline["statuses"].values()
    assert sum(status["share"] for status in statuses) == pytest.approx(1, abs=1e-3)
    # The accuracy of the whole is that of its parts.
    parts = [status["share"] * status["accuracy"] for status in statuses if status["share"]]
    assert sum(parts) == pytest.approx(baseline["accuracy"], abs=1e-3)


def test_the_baseline_by_hand():
    probabilities = np.array(
        [
            [0.95, 0.03, 0.02],  # accepted, rightly
            [0.05, 0.90, 0.05],  # accepted at the threshold, wrongly
            [0.40, 0.55, 0.05],  # unsure, rightly
            [0.02, 0.03, 0.95],  # turned away, rightly
        ]
    )
    novelty = np.array([0.2, 0.2, 0.4, 0.4])
    baseline = calibration.baseline(probabilities, novelty, np.array([0, 0, 1, 2]), 0.9)
    assert (baseline["mean_novelty"], baseline["novelty_deviation"]) == (0.3, 0.1)
    assert baseline["labels"] == {"bicycle": 0.25, "motorcycle": 0.5, "other": 0.25}
    assert baseline["mean_confidence"] == pytest.approx((0.95 + 0.9 + 0.55 + 0.95) / 4, abs=1e-4)
    assert baseline["accuracy"] == 0.75
    assert baseline["statuses"] == {
        "accepted": {"share": 0.5, "accuracy": 0.5},
        "review": {"share": 0.25, "accuracy": 1.0},
        "rejected": {"share": 0.25, "accuracy": 1.0},
    }


def test_a_status_that_nothing_has_got_has_no_accuracy():
    certain = calibration.baseline(np.array([[1.0, 0.0, 0.0]]), np.zeros(1), np.array([0]), 0.9)
    assert certain["statuses"]["rejected"] == {"share": 0.0, "accuracy": None}
