"""Temperature, calibration error and the threshold."""

import numpy as np
import pytest

from training.classifier import calibration
from training.classifier.calibration import Predictions

LABELS = ["bicycle", "motorcycle", "other"]


def predictions(probabilities: np.ndarray, truth: np.ndarray) -> Predictions:
    return Predictions(np.asarray(probabilities), np.asarray(truth), LABELS)


def sampled(count: int, sharpness: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from exactly the probabilities that they mean."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 3))
    probabilities = calibration.softmax(logits, 1)
    labels = (probabilities.cumsum(1) < random.random((count, 1))).sum(1)
    return logits * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_over_and_under_confidence(sharpness):
    logits, labels = sampled(6000, sharpness)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(sharpness, rel=0.08)


def test_calibration_error_sees_overconfidence():
    logits, labels = sampled(20_000)
    calibrated, overconfident = (
        calibration.expected_calibration_error(
            predictions(calibration.softmax(logits * factor, 1), labels)
        )
        for factor in (1, 3)
    )
    assert calibrated < 0.02
    assert overconfident > 0.1


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1, 0.0]] * 4)
    labels = np.array([0, 0, 1, 1])
    assert calibration.expected_calibration_error(
        predictions(probabilities, labels)
    ) == pytest.approx(0.4)


def test_operate_by_hand():
    probabilities = np.array(
        [
            [0.95, 0.03, 0.02],  # a bicycle, accepted
            [0.40, 0.55, 0.05],  # a bicycle, predicted motorcycle, below the threshold
            [0.05, 0.90, 0.05],  # a bicycle, predicted motorcycle, accepted
            [0.02, 0.03, 0.95],  # other, not accepted
            [0.85, 0.05, 0.10],  # other, accepted
        ]
    )
    labels = np.array([0, 0, 0, 2, 2])
    operation = calibration.operate(predictions(probabilities, labels), 0.8)
    assert operation.coverage == pytest.approx(2 / 3)
    assert operation.precision == pytest.approx(1 / 2)
    assert operation.other_accepted == pytest.approx(1 / 2)


def test_the_threshold_is_the_lowest_that_keeps_precision_and_other():
    logits, labels = sampled(20_000)
    curve = calibration.coverage_curve(predictions(calibration.softmax(logits, 1), labels))
    threshold = calibration.choose_threshold(curve)
    for operation in curve:
        keeps = (
            operation.precision >= calibration.PRECISION
            and operation.other_accepted <= calibration.OTHER_ACCEPTED
        )
        if operation.threshold >= threshold:
            assert keeps
        elif operation.threshold == pytest.approx(threshold - 0.005):
            assert not keeps


def test_without_a_good_threshold_the_strictest_is_taken():
    probabilities = np.tile([0.999, 0.0005, 0.0005], (100, 1))
    labels = np.arange(100) % 3
    curve = calibration.coverage_curve(predictions(probabilities, labels))
    assert calibration.choose_threshold(curve) == curve[-1].threshold == 0.995


def test_the_baseline_counts_every_prediction():
    logits, labels = sampled(1000)
    novelty = np.linspace(0, 1, 1000)
    baseline = calibration.baseline(
        predictions(calibration.softmax(logits * 50, 1), labels), novelty, 0.9
    )
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
            [0.95, 0.03, 0.02],  # accepted, correct
            [0.05, 0.90, 0.05],  # accepted at the threshold, wrong
            [0.40, 0.55, 0.05],  # below the threshold, correct
            [0.02, 0.03, 0.95],  # rejected, correct
        ]
    )
    novelty = np.array([0.2, 0.2, 0.4, 0.4])
    baseline = calibration.baseline(predictions(probabilities, [0, 0, 1, 2]), novelty, 0.9)
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
    certain = calibration.baseline(predictions([[1.0, 0.0, 0.0]], [0]), np.zeros(1), 0.9)
    assert certain["statuses"]["rejected"] == {"share": 0.0, "accuracy": None}


def test_without_other_every_label_can_be_accepted():
    two = Predictions(np.array([[0.95, 0.05], [0.4, 0.6]]), np.array([0, 1]), ["broken", "intact"])
    operation = calibration.operate(two, 0.9)
    assert (operation.coverage, operation.precision, operation.other_accepted) == (0.5, 1.0, 0.0)
    assert two.told_apart().tolist() == [True, True]
