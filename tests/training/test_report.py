"""The report: its formulas by hand."""

import numpy as np
import pytest

from training import report
from training.classifier.calibration import Predictions
from training.dataset.records import Photo

LABELS = ["bicycle", "motorcycle", "other"]


def photo(source: str, label: str = "bicycle") -> Photo:
    return Photo("", "", label, "train", source, "street", "", "")


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (191, 200, 0.9166, 0.9761)],
)
def test_wilson_interval(correct, count, low, high):
    entry = report.share(np.arange(count) < correct)
    assert (entry["low"], entry["high"]) == pytest.approx((low, high), abs=1e-3)


def test_share_of_no_photos_is_unknown():
    assert report.share(np.array([], bool)) == {"value": 0.0, "low": 0.0, "high": 1.0, "count": 0}


def test_coverage_at_precision_is_where_wrong_predictions_are_no_longer_accepted():
    confidence = np.linspace(0.5, 0.99, 100)
    probabilities = np.stack([confidence, 1 - confidence, np.zeros(100)], axis=1)
    truth = np.where(confidence < 0.7, 1, 0)  # wrong below 0.7
    entry = report.coverage_at_precision(Predictions(probabilities, truth, LABELS))
    assert 0.69 <= entry["threshold"] <= 0.705
    assert entry["value"] == pytest.approx(0.59, abs=0.02)


def test_spread_counts_each_source_once_however_large():
    rows = [photo("large")] * 80 + [photo("small")] * 20 + [photo("tiny")] * 2
    probabilities = np.tile([0.9, 0.1, 0.0], (102, 1))
    probabilities[80:90] = [0.1, 0.9, 0.0]  # half of the small source is wrong
    spread = report.spread_over_sources(
        Predictions(probabilities, np.zeros(102, int), LABELS), rows
    )
    assert spread == {
        "sources": 2,
        "mean": 0.75,
        "standard_deviation": pytest.approx(0.3536, abs=1e-3),
        "lowest": 0.5,
    }


def test_sources_are_rows_with_their_own_counts():
    rows = [photo("a")] * 3 + [photo("b", "other")] * 2
    probabilities = np.array([[0.95, 0.05, 0]] * 3 + [[0.97, 0.02, 0.01], [0, 0, 1]])
    predictions = Predictions(probabilities, np.array([0, 0, 0, 2, 2]), LABELS)
    text = report.grouped_table(predictions, rows, "source", 0.9)
    [of_a] = [line for line in text.splitlines() if line.startswith("| a |")]
    [of_b] = [line for line in text.splitlines() if line.startswith("| b |")]
    assert of_a.count("(3/3)") == 3
    assert "(1/2)" in of_b
