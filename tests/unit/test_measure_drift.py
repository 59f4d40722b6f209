"""Drift: formulas compared with SciPy and scikit-learn, counts, reports, and calls of AWS."""

import itertools
import json
import math
import random
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from tests.support.functions import FUNCTIONS
from tests.support.tables import schema

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODEL = "scones-vehicle-classifier/1.0.0"
SHIPPED = FUNCTIONS / "measure_drift" / "metadata.json"
METADATA = {
    "name": "scones-vehicle-classifier",
    "version": "1.0.0",
    "baseline": {
        "count": 600,
        "labels": {"bicycle": 0.4, "motorcycle": 0.4, "other": 0.2},
        "confidence_edges": [0.0, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0],
        "confidence": [0.02, 0.08, 0.1, 0.1, 0.2, 0.5],
        "mean_confidence": 0.92,
        "mean_novelty": 0.35,
        "novelty_deviation": 0.15,
        "accuracy": 0.92,
        "statuses": {
            "accepted": {"share": 0.6, "accuracy": 0.99},
            "review": {"share": 0.3, "accuracy": 0.77},
            "rejected": {"share": 0.1, "accuracy": 0.95},
        },
    },
}


@pytest.fixture(scope="module")
def formulas(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("measure_drift", "formulas")


@pytest.fixture(scope="module")
def report(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("measure_drift", "report")


# ── Formulas, compared with SciPy and scikit-learn ──


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([10, 20, 70], [30, 30, 40]), ([0, 0, 500], [100, 0, 400]), ([5, 5], [5, 5]), ([0], [9])],
)
def test_the_population_stability_index_is_the_divergence_of_scipy(formulas, counts, expected):
    ours = formulas.population_stability_index(counts, expected)
    actual, wanted = np.array(counts) + 0.5, np.array(expected) + 0.5
    # SciPy normalises its input
    theirs = stats.entropy(actual, wanted) + stats.entropy(wanted, actual)
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_the_index_depends_neither_on_the_order_of_bins_nor_on_the_direction(formulas):
    index = formulas.population_stability_index
    assert index([1, 2, 97], [30, 30, 40]) == pytest.approx(index([97, 1, 2], [40, 30, 30]))
    assert index([1, 2, 97], [30, 30, 40]) == pytest.approx(index([30, 30, 40], [1, 2, 97]))


def test_the_index_is_close_to_the_mutual_information_of_label_and_sample(formulas):
    """For two samples of one size, J is about eight times the mutual information."""
    one, other = [480, 520], [520, 480]
    samples, labels = [0] * 1000 + [1] * 1000, [0] * 480 + [1] * 520 + [0] * 520 + [1] * 480
    information = mutual_info_score(samples, labels)
    index = formulas.population_stability_index(one, other)
    assert index == pytest.approx(8 * information, rel=0.01)


@pytest.mark.parametrize("degrees", [3, 5, 8, 9, 20, 100])
def test_the_percentile_of_chi_square_is_that_of_scipy(formulas, degrees):
    theirs = stats.chi2.ppf(0.999, degrees)
    assert formulas.chi_square_999(degrees) == pytest.approx(theirs, rel=0.02)


@pytest.mark.parametrize("count", [150, 500, 40_000])
def test_without_drift_the_index_stays_below_its_limit(formulas, count):
    generator = np.random.default_rng(count)
    shares = [0.02, 0.04, 0.04, 0.05, 0.08, 0.09, 0.1, 0.1, 0.48]
    over = sum(
        formulas.population_stability_index(
            generator.multinomial(count, shares), generator.multinomial(600, shares)
        )
        > formulas.index_limit(len(shares), count, 600)
        for _ in range(4000)
    )
    assert over <= 4 + 4 * math.sqrt(4)


@pytest.mark.parametrize("count", [1, 5, 50, 1000])
def test_wilsons_interval_is_that_of_scipy(formulas, count):
    for correct in {0, 1, count // 2, count}:
        theirs = stats.binomtest(correct, count).proportion_ci(method="wilson")
        ours = formulas.wilson_interval(correct / count, count)
        assert ours == pytest.approx((correct / count, theirs.low, theirs.high), abs=1e-6)


def test_without_observations_the_interval_is_0_to_1(formulas):
    assert formulas.wilson_interval(0, 0)[1:] == (0, 1)


def test_the_stratified_interval_of_one_stratum_is_wilsons(formulas):
    one = formulas.stratified_interval([formulas.Stratum(1000, 50, 45)])
    assert one == pytest.approx(formulas.wilson_interval(0.9, 50))


def test_the_stratified_accuracy_weights_each_stratum_by_its_predictions(formulas):
    strata = [formulas.Stratum(900, 45, 45), formulas.Stratum(100, 100, 70)]
    accuracy = formulas.stratified_interval(strata)
    assert accuracy.value == pytest.approx(0.97)  # a plain average of the reviews is 79%
    assert accuracy.low < 0.97 < accuracy.high


@pytest.mark.parametrize(
    ("above", "below", "audited", "reviewed"),
    [(0.99, 0.75, 30, 150), (0.95, 0.8, 50, 40), (0.9, 0.6, 100, 100)],
)
def test_the_stratified_interval_covers_the_true_accuracy(
    formulas, above, below, audited, reviewed
):
    generator = np.random.default_rng(7)
    truth, rounds = 0.7 * above + 0.3 * below, 3000
    covered = 0
    for _ in range(rounds):
        strata = [
            formulas.Stratum(700, audited, int(generator.binomial(audited, above))),
            formulas.Stratum(300, reviewed, int(generator.binomial(reviewed, below))),
        ]
        accuracy = formulas.stratified_interval(strata)
        covered += accuracy.low <= truth <= accuracy.high
    assert 0.93 <= covered / rounds <= 0.995


@pytest.mark.parametrize(("mean", "deviation", "target"), [(0.35, 0.15, 0.38), (0.1, 0.3, 0.11)])
def test_without_a_drop_the_exponential_of_a_normal_increment_is_1_on_average(
    formulas, mean, deviation, target
):
    scale = formulas.normal_scale(mean, deviation, target)
    values = np.linspace(mean - 9 * deviation, mean + 9 * deviation, 10_001)
    density = stats.norm(mean, deviation).pdf(values)
    expected = np.trapezoid(density * np.exp(scale * (values - target)), values)
    assert expected == pytest.approx(1, abs=1e-6)


def test_the_cusum_statistic_is_that_of_page(formulas):
    """Page's second form: the distance of the plain sum from its minimum so far."""
    generator = random.Random(1)
    increments = [generator.gauss(0, 1) for _ in range(500)]
    plain = list(itertools.accumulate(increments, initial=0.0))
    ours = formulas.cusum(increments, maximum=math.inf)
    assert ours == pytest.approx(plain[-1] - min(plain))


def test_the_increment_of_reviews_is_the_likelihood_ratio_of_two_binomials(formulas):
    theirs = stats.binom.logpmf(90, 100, 0.90) - stats.binom.logpmf(90, 100, 0.95)
    assert formulas.log_likelihood_ratio(100, 90, 0.95, 0.05) == pytest.approx(theirs)


def test_without_a_drop_the_exponential_of_an_increment_is_1_on_average(formulas):
    """The rate of false alarms follows from this."""
    good, drop = 0.95, 0.05
    correct, wrong = (formulas.log_likelihood_ratio(1, one, good, drop) for one in (1, 0))
    assert good * math.exp(correct) + (1 - good) * math.exp(wrong) == pytest.approx(1)
    shares, values = [0.1, 0.2, 0.7], [0.55, 0.9, 0.99]
    target = float(np.dot(shares, values)) - 0.025
    scale = formulas.confidence_scale(shares, values, target)
    assert scale > 0
    assert np.dot(shares, np.exp(scale * (target - np.array(values)))) == pytest.approx(1)


def test_without_a_drop_false_alarms_are_as_rare_as_documented(formulas):
    """At a limit of 3, in at most exp(-3) of all hours, for any number of photos in an hour."""
    generator = np.random.default_rng(3)
    for photos in (5, 200):
        wrong = generator.binomial(photos, 0.05, 20_000)
        total, alarms = 0.0, 0
        for each in wrong:
            total = max(
                0.0, total + formulas.log_likelihood_ratio(photos, photos - each, 0.95, 0.05)
            )
            if total >= 3:
                alarms, total = alarms + 1, 0.0
        assert alarms <= 20_000 * math.exp(-3)


# ── Counts ──


def record(
    label: str = "bicycle",
    confidence: float = 0.97,
    status: str = "accepted",
    novelty: float | None = None,
    model: str = MODEL,
    reviewed: str | None = None,
    at: datetime = NOON,
) -> dict[str, dict[str, str]]:
    """A record as the index holds it."""
    person = {"reviewed_label": {"S": reviewed}} if reviewed else {}
    known = {"novelty": {"N": str(novelty)}} if novelty is not None else {}
    return {
        "label": {"S": label},
        "confidence": {"N": str(confidence)},
        "status": {"S": status},
        "model": {"S": model},
        "recorded_at": {"S": at.isoformat()},
        **known,
        **person,
    }


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


def traffic(
    report: ModuleType,
    hours: int = 30,
    photos: int = 40,
    *,
    mean: float | None = None,
    novelty: float | None = 0.35,
    labels: dict[str, float] | None = None,
    audited: float = 0.1,
    above: float = 0.99,
    below: float = 0.77,
    seed: int = 1,
) -> list[Any]:
    """Windows of photos like the baseline's, except the given values; the newest first."""
    generator = np.random.default_rng(seed)
    baseline = METADATA["baseline"]
    edges, shares = baseline["confidence_edges"], baseline["confidence"]
    mix = labels or baseline["labels"]
    windows = []
    for number in range(hours):
        at = NOON - timedelta(hours=number)
        window = report.Window(at.strftime("%Y-%m-%dT%H"))
        bins = generator.choice(len(shares), photos, p=shares)
        confidences = generator.uniform(np.array(edges)[bins], np.array(edges)[bins + 1])
        for confidence, label in zip(
            (confidences + (mean or 0.92) - 0.92).clip(0.34, 1).round(6),
            generator.choice(list(mix), photos, p=list(mix.values())),
            strict=True,
        ):
            status = "review" if confidence < 0.95 else "accepted"
            correct = generator.random() < (above if status == "accepted" else below)
            reviewed = status == "review" or generator.random() < audited
            review = (label if correct else "another label") if reviewed else None
            novel = None if novelty is None else min(1.0, max(0.0, generator.normal(novelty, 0.15)))
            window.count([record(label, confidence, status, novel, reviewed=review, at=at)])
        windows.append(window)
    return windows


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


# ── The function and AWS ──


class Cloud:
    """Moto's tables and bucket, made as in the template, and the function."""

    def __init__(self, app: ModuleType, context: Any) -> None:
        self.app, self.context = app, context
        self.dynamodb, self.s3 = app.dynamodb, app.s3
        for name, logical in (("predictions", "PredictionsTable"), ("drift", "DriftTable")):
            self.dynamodb.create_table(TableName=name, **schema(logical))
        self.s3.create_bucket(
            Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )

    def put(self, number: int, prediction: dict[str, Any], at: datetime = NOON) -> None:
        """Record a prediction as the workflow does."""
        own = {"image_id": {"S": str(number)}, "hour": {"S": at.strftime("%Y-%m-%dT%H")}}
        item = prediction | own | {"recorded_at": {"S": at.isoformat()}, "reason": {"S": "long"}}
        self.dynamodb.put_item(TableName="predictions", Item=item)

    def measure(self, hour: str = "2026-11-20T12") -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.app.handler({"hour": hour}, self.context)
        return found

    def kept(self, hour: str = "2026-11-20T12") -> dict[str, Any]:
        """Read the item of an hour from DriftTable."""
        key = {"series": {"S": "hourly"}, "hour": {"S": hour}}
        item = self.dynamodb.get_item(TableName="drift", Key=key).get("Item", {})
        kept = {name: json.loads(item[name]["S"]) for name in ("counts", "report") if name in item}
        return kept | ({"expires_at": int(item["expires_at"]["N"])} if item else {})


@pytest.fixture
def cloud(
    load: Callable[[str, str], ModuleType],
    aws: None,
    environment: pytest.MonkeyPatch,
    context: Any,
) -> Cloud:
    environment.setenv("PREDICTIONS_TABLE_NAME", "predictions")
    environment.setenv("DRIFT_TABLE_NAME", "drift")
    environment.setenv("PHOTOS_BUCKET_NAME", "photos")
    environment.setenv("MAXIMUM_DRIFT", "0.25")
    environment.setenv("PREDICTION_RETENTION_DAYS", "400")
    cloud = Cloud(load("measure_drift", "app"), context)
    body = json.dumps(METADATA)
    cloud.s3.put_object(Bucket="photos", Key=f"baselines/{MODEL}.json", Body=body)
    return cloud


def fill(cloud: Cloud, count: int = 120, at: datetime = NOON, **changes: Any) -> None:
    for number in range(count):
        cloud.put(number, record(**changes), at + timedelta(seconds=number))


def test_an_hour_is_counted_reported_and_emitted(cloud, capsys):
    fill(cloud)
    report = cloud.measure()
    assert report is not None
    assert (report["model"], report["predictions"]) == (MODEL, 120)
    kept = cloud.kept()
    assert kept["report"] == report
    assert kept["counts"]["models"][MODEL]["labels"] == {"bicycle": 120}
    assert kept["expires_at"] == datetime(2027, 12, 25, 12, tzinfo=UTC).timestamp()
    [line] = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    emitted = json.loads(line)
    assert emitted["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    names = {metric["Name"] for metric in emitted["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {"EstimatedAccuracy", "AccuracyDrop", "Drift", "ReviewRate"}
    assert emitted["EstimatedAccuracy"] == [pytest.approx(0.97)]
    assert emitted["report"] == report


def test_a_second_run_counts_nothing_twice(cloud):
    fill(cloud)
    first = cloud.measure()
    assert cloud.measure() == first
    assert cloud.kept()["counts"]["models"][MODEL]["labels"] == {"bicycle": 120}


def test_reviews_are_counted_by_later_runs(cloud):
    fill(cloud)
    cloud.measure()
    for number in range(0, 120, 2):
        at = NOON + timedelta(seconds=number)
        cloud.put(number, record(reviewed="bicycle" if number % 20 else "motorcycle"), at)
    fill(cloud, 1, NOON + timedelta(hours=1), model="next/2")
    cloud.measure("2026-11-20T13")
    assert cloud.kept()["counts"]["models"][MODEL]["statuses"]["accepted"] == [119, 59, 54]
    assert cloud.kept()["report"]["reviewed"] == 0  # as it was known then


def test_an_hour_is_counted_again_for_ten_days(cloud):
    for age in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        fill(cloud, 1, NOON - timedelta(hours=age - 1))
        cloud.measure()
        assert cloud.kept((NOON - timedelta(hours=age - 1)).strftime("%Y-%m-%dT%H"))["counts"]
        cloud.dynamodb.delete_item(TableName="predictions", Key={"image_id": {"S": "0"}})


def test_more_predictions_than_a_page_are_all_counted(cloud, monkeypatch):
    fill(cloud, 50)
    paginate = cloud.dynamodb.get_paginator("query").paginate
    pages = 0

    def small_pages(**arguments: Any) -> Any:
        nonlocal pages
        for page in paginate(**arguments, PaginationConfig={"PageSize": 7}):
            pages += 1
            yield page

    class Paginator:
        paginate = staticmethod(small_pages)

    monkeypatch.setattr(cloud.dynamodb, "get_paginator", lambda _: Paginator)
    cloud.measure()
    assert pages > 7
    assert cloud.kept()["counts"]["models"][MODEL]["labels"] == {"bicycle": 50}


def test_an_hour_without_predictions_has_no_report_and_no_metrics(cloud, capsys):
    fill(cloud, at=NOON - timedelta(hours=1))
    assert cloud.measure() is None
    assert cloud.kept() == {}
    assert "_aws" not in capsys.readouterr().out


def test_the_model_in_service_is_that_of_the_last_prediction(cloud):
    fill(cloud)
    cloud.put(999, record(model="next/2"), NOON + timedelta(minutes=59))
    report = cloud.measure()
    assert report is not None
    assert report["model"] == "next/2"
    assert report["drift"] is None  # it has no baseline


def test_without_a_stored_baseline_the_shipped_one_is_used(cloud, monkeypatch):
    shipped = json.loads(SHIPPED.read_text())
    assert cloud.app.read_baseline(f"{shipped['name']}/{shipped['version']}") is not None
    assert cloud.app.read_baseline("another/1") is None
    # A baseline in the bucket is used first.
    changed = METADATA | {"baseline": METADATA["baseline"] | {"count": 7}}
    key = f"baselines/{shipped['name']}/{shipped['version']}.json"
    cloud.s3.put_object(Bucket="photos", Key=key, Body=json.dumps(changed))
    assert cloud.app.read_baseline(f"{shipped['name']}/{shipped['version']}").count == 7


def test_a_baseline_of_traffic_is_used_before_the_models_own(cloud):
    traffic = METADATA | {"baseline": METADATA["baseline"] | {"count": 7}}
    cloud.s3.put_object(
        Bucket="photos", Key=f"baselines/{MODEL}/traffic.json", Body=json.dumps(traffic)
    )
    assert cloud.app.read_baseline(MODEL).count == 7
    cloud.s3.delete_object(Bucket="photos", Key=f"baselines/{MODEL}/traffic.json")
    assert cloud.app.read_baseline(MODEL).count == 600


def test_an_incomplete_baseline_is_an_error_after_the_counts_are_stored(cloud):
    fill(cloud)
    cloud.s3.put_object(Bucket="photos", Key=f"baselines/{MODEL}.json", Body='{"baseline": {}}')
    with pytest.raises(ValueError, match="no complete baseline"):
        cloud.measure()
    assert cloud.kept()["counts"]


@pytest.mark.parametrize("hour", ["yesterday", "2026-11-20", 14])
def test_a_text_that_is_not_an_hour_is_refused(cloud, hour):
    with pytest.raises(ValueError, match='not an hour like "2026-11-20T14"'):
        cloud.measure(hour)


def test_the_default_is_the_last_complete_hour(cloud):
    hour = cloud.app.parse_hour(None)
    assert timedelta(hours=1) <= datetime.now(UTC) - hour < timedelta(hours=2)
