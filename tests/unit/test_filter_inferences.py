"""A photo is accepted, rejected or reviewed, depending on its inferences."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

LABELS = ("bicycle", "motorcycle", "other")

thresholds = st.floats(0.5, 1)
inferences = (
    st.tuples(*[st.floats(0, 1) for _ in LABELS])
    .filter(lambda weights: sum(weights) > 0)
    .map(lambda weights: {name: w / sum(weights) for name, w in zip(LABELS, weights, strict=True)})
)


@pytest.fixture(scope="module")
def decide(load: Callable[[str, str], ModuleType]) -> Any:
    return load("filter_inferences", "filtering").decide


@pytest.mark.parametrize(
    ("probabilities", "status", "label", "reason"),
    [
        ((0.97, 0.02, 0.01), "accepted", "bicycle", "bicycle, 97% confidence"),
        ((0.00, 1.00, 0.00), "accepted", "motorcycle", "motorcycle, 100% confidence"),
        ((0.90, 0.05, 0.05), "accepted", "bicycle", "bicycle, 90% confidence"),
        (
            (0.61, 0.35, 0.04),
            "review",
            "bicycle",
            "below the confidence threshold: bicycle 61%, motorcycle 35%",
        ),
        (
            (0.10, 0.10, 0.80),
            "review",
            "other",
            "below the confidence threshold: other 80%, bicycle 10%",
        ),
        ((0.01, 0.02, 0.97), "rejected", "other", "the photo shows no bicycle or motorcycle"),
        (
            (0.8999, 0.1001, 0),
            "review",
            "bicycle",
            "below the confidence threshold: bicycle 89%, motorcycle 10%",
        ),
    ],
)
def test_a_prediction_has_a_status_and_a_reason(
    decide: Any, probabilities: tuple[float, ...], status: str, label: str, reason: str
) -> None:
    prediction = decide(dict(zip(LABELS, probabilities, strict=True)), 0.9)
    assert prediction == {
        "label": label,
        "confidence": probabilities[LABELS.index(label)],
        "status": status,
        "reason": reason,
    }


def test_the_words_of_a_reason_come_from_the_labels(decide: Any) -> None:
    inferences = {"intact": 0.02, "broken": 0.01, "other": 0.97}
    assert decide(inferences, 0.9)["reason"] == "the photo shows no broken or intact"


@given(inferences, thresholds)
def test_the_status_follows_from_label_and_confidence(
    decide: Any, inferences: dict[str, float], threshold: float
) -> None:
    prediction = decide(inferences, threshold)
    confident = prediction["confidence"] >= threshold
    assert prediction["confidence"] == max(inferences.values())
    assert prediction["confidence"] == inferences[prediction["label"]]
    assert (prediction["status"] == "review") == (not confident)
    assert (prediction["status"] == "rejected") == (confident and prediction["label"] == "other")
    assert prediction["reason"]


@given(inferences, thresholds, thresholds)
def test_a_higher_threshold_only_sends_more_to_review(
    decide: Any, inferences: dict[str, float], one: float, another: float
) -> None:
    low, high = (decide(inferences, threshold) for threshold in sorted([one, another]))
    assert high["status"] in {low["status"], "review"}
    assert high["label"] == low["label"]


@given(inferences, thresholds, st.permutations(LABELS))
def test_the_order_of_the_labels_does_not_matter(
    decide: Any, inferences: dict[str, float], threshold: float, order: list[str]
) -> None:
    shuffled = {label: inferences[label] for label in order}
    assert decide(shuffled, threshold) == decide(inferences, threshold)


def test_of_two_equal_labels_the_first_in_the_alphabet_counts(decide: Any) -> None:
    tie = {"other": 0.5, "motorcycle": 0.5, "bicycle": 0.0}
    assert decide(tie, 0.5)["label"] == "motorcycle"


@given(inferences, thresholds)
def test_a_percentage_below_the_threshold_is_not_shown_above_it(
    decide: Any, inferences: dict[str, float], threshold: float
) -> None:
    prediction = decide(inferences, threshold)
    if prediction["status"] == "review":
        shown = int(prediction["reason"].split("%")[0].split()[-1])
        assert shown <= 100 * prediction["confidence"] + 1e-6


@pytest.mark.parametrize("value", [float("nan"), -0.01, 1.01, float("inf"), "0.9", True, None, [1]])
def test_a_value_that_is_not_a_probability_raises(decide: Any, value: object) -> None:
    with pytest.raises(ValueError, match="probability"):
        decide({"bicycle": 0.5, "motorcycle": value, "other": 0.5}, 0.9)


def test_empty_inferences_raise(decide: Any) -> None:
    with pytest.raises(ValueError, match="probability"):
        decide({}, 0.9)


@pytest.fixture
def app(load: Callable[[str, str], ModuleType], environment: pytest.MonkeyPatch) -> ModuleType:
    environment.setenv("CONFIDENCE_THRESHOLD", "0.9")
    return load("filter_inferences", "app")


def test_handler_counts_the_prediction_by_status(
    app: ModuleType, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    inferences = {"bicycle": 0.97, "motorcycle": 0.02, "other": 0.01}
    prediction = app.handler({"inferences": inferences}, context)
    assert (prediction["label"], prediction["status"]) == ("bicycle", "accepted")
    metrics = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert metrics["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "SconesUnlimited",
            "Dimensions": [["status", "service"]],
            "Metrics": [
                {"Name": "Predictions", "Unit": "Count"},
            ],
        }
    ]
    assert metrics["status"] == "accepted"
    assert metrics["Predictions"] == [1.0]


def test_statuses_do_not_mix_in_the_metrics_of_a_warm_function(
    app: ModuleType, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for bicycle, status in ((0.97, "accepted"), (0.6, "review"), (0.01, "rejected")):
        inferences = {"bicycle": bicycle, "motorcycle": 0.0, "other": 1 - bicycle}
        app.handler({"inferences": inferences}, context)
        metrics = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        assert (metrics["status"], metrics["Predictions"]) == (status, [1.0])


@pytest.mark.parametrize("threshold", ["0.49", "1.01", "nan", "", "high"])
def test_a_threshold_out_of_bounds_raises(
    app: ModuleType, context: Any, environment: pytest.MonkeyPatch, threshold: str
) -> None:
    environment.setenv("CONFIDENCE_THRESHOLD", threshold)
    with pytest.raises(ValueError, match=r"CONFIDENCE_THRESHOLD|float"):
        app.handler({"inferences": dict.fromkeys(LABELS, 0.3)}, context)
