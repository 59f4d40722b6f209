"""Measuring drift: formulas against scipy and sklearn, counting, verdicts, and what AWS is told."""

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


# ── The formulas, against others' ──


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([10, 20, 70], [30, 30, 40]), ([0, 0, 500], [100, 0, 400]), ([5, 5], [5, 5]), ([0], [9])],
)
def test_population_stability_index_is_scipys_divergence(formulas, counts, expected):
    ours = formulas.population_stability_index(counts, expected)
    actual, wanted = np.array(counts) + 0.5, np.array(expected) + 0.5
    # scipy makes shares of what it is given
    theirs = stats.entropy(actual, wanted) + stats.entropy(wanted, actual)
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_the_index_does_not_mind_the_order_of_the_bins_or_who_is_compared_with_whom(formulas):
    index = formulas.population_stability_index
    assert index([1, 2, 97], [30, 30, 40]) == pytest.approx(index([97, 1, 2], [40, 30, 30]))
    assert index([1, 2, 97], [30, 30, 40]) == pytest.approx(index([30, 30, 40], [1, 2, 97]))


def test_the_index_grows_with_what_the_label_tells_of_the_sample(formulas):
    """Of equal samples, J is near four times the mutual information of label and sample."""
    one, other = [480, 520], [520, 480]
    samples, labels = [0] * 1000 + [1] * 1000, [0] * 480 + [1] * 520 + [0] * 520 + [1] * 480
    information = mutual_info_score(samples, labels)
    index = formulas.population_stability_index(one, other)
    assert index == pytest.approx(8 * information, rel=0.01)


@pytest.mark.parametrize("degrees", [3, 5, 8, 9, 20, 100])
def test_chi_square_is_scipys(formulas, degrees):
    theirs = stats.chi2.ppf(0.999, degrees)
    assert formulas.chi_square_999(degrees) == pytest.approx(theirs, rel=0.02)


@pytest.mark.parametrize("count", [150, 500, 40_000])
def test_without_drift_the_index_stays_under_what_chance_brings(formulas, count):
    dice = np.random.default_rng(count)
    shares = [0.02, 0.04, 0.04, 0.05, 0.08, 0.09, 0.1, 0.1, 0.48]
    over = sum(
        formulas.population_stability_index(
            dice.multinomial(count, shares), dice.multinomial(600, shares)
        )
        > formulas.index_by_chance(len(shares), count, 600)
        for _ in range(4000)
    )
    assert over <= 4 + 4 * math.sqrt(4)


@pytest.mark.parametrize("count", [1, 5, 50, 1000])
def test_wilson_interval_is_scipys(formulas, count):
    for right in {0, 1, count // 2, count}:
        theirs = stats.binomtest(right, count).proportion_ci(method="wilson")
        ours = formulas.wilson_interval(right / count, count)
        assert ours == pytest.approx((right / count, theirs.low, theirs.high), abs=1e-6)


def test_of_nothing_everything_is_possible(formulas):
    assert formulas.wilson_interval(0, 0)[1:] == (0, 1)


def test_stratified_interval_of_one_stratum_is_wilsons(formulas):
    one = formulas.stratified_interval([formulas.Stratum(1000, 50, 45)])
    assert one == pytest.approx(formulas.wilson_interval(0.9, 50))


def test_stratified_interval_does_not_believe_that_reviewed_photos_are_like_the_others(formulas):
    strata = [formulas.Stratum(900, 45, 45), formulas.Stratum(100, 100, 70)]
    accuracy = formulas.stratified_interval(strata)
    assert accuracy.value == pytest.approx(0.97)  # a plain average of the reviews says 79%
    assert accuracy.low < 0.97 < accuracy.high


@pytest.mark.parametrize(
    ("sure", "unsure", "audited", "reviewed"),
    [(0.99, 0.75, 30, 150), (0.95, 0.8, 50, 40), (0.9, 0.6, 100, 100)],
)
def test_stratified_interval_covers_the_truth_as_often_as_it_says(
    formulas, sure, unsure, audited, reviewed
):
    dice = np.random.default_rng(7)
    truth, rounds = 0.7 * sure + 0.3 * unsure, 3000
    covered = 0
    for _ in range(rounds):
        strata = [
            formulas.Stratum(700, audited, int(dice.binomial(audited, sure))),
            formulas.Stratum(300, reviewed, int(dice.binomial(reviewed, unsure))),
        ]
        accuracy = formulas.stratified_interval(strata)
        covered += accuracy.low <= truth <= accuracy.high
    assert 0.93 <= covered / rounds <= 0.995


@pytest.mark.parametrize(("mean", "deviation", "target"), [(0.35, 0.15, 0.38), (0.1, 0.3, 0.11)])
def test_without_a_drop_the_exponential_of_a_normal_addend_is_1_on_average(
    formulas, mean, deviation, target
):
    scale = formulas.normal_scale(mean, deviation, target)
    values = np.linspace(mean - 9 * deviation, mean + 9 * deviation, 10_001)
    density = stats.norm(mean, deviation).pdf(values)
    expected = np.trapezoid(density * np.exp(scale * (values - target)), values)
    assert expected == pytest.approx(1, abs=1e-6)


def test_cumulative_sum_is_pages(formulas):
    """Page's other form: how far the plain sum is over its lowest point so far."""
    dice = random.Random(1)
    addends = [dice.gauss(0, 1) for _ in range(500)]
    plain = list(itertools.accumulate(addends, initial=0.0))
    ours = formulas.cumulative_sum(addends, most=math.inf)
    assert ours == pytest.approx(plain[-1] - min(plain))


def test_outcome_evidence_is_the_likelihood_ratio_of_two_binomials(formulas):
    theirs = stats.binom.logpmf(90, 100, 0.90) - stats.binom.logpmf(90, 100, 0.95)
    assert formulas.outcome_evidence(100, 90, 0.95, 0.05) == pytest.approx(theirs)


def test_evidence_of_a_drop_is_one_on_average_without_it(formulas):
    """Of the exponential of one addend: what the rate of false alarms rests on."""
    good, drop = 0.95, 0.05
    right, wrong = (formulas.outcome_evidence(1, one, good, drop) for one in (1, 0))
    assert good * math.exp(right) + (1 - good) * math.exp(wrong) == pytest.approx(1)
    shares, values = [0.1, 0.2, 0.7], [0.55, 0.9, 0.99]
    target = float(np.dot(shares, values)) - 0.025
    scale = formulas.confidence_scale(shares, values, target)
    assert scale > 0
    assert np.dot(shares, np.exp(scale * (target - np.array(values)))) == pytest.approx(1)


def test_without_a_drop_hours_ring_as_seldom_as_promised(formulas):
    """At a limit of 3 in at most exp(-3) of all hours, whatever the number of photos in an hour."""
    dice = np.random.default_rng(3)
    for photos in (5, 200):
        wrong = dice.binomial(photos, 0.05, 20_000)
        total, alarms = 0.0, 0
        for each in wrong:
            total = max(0.0, total + formulas.outcome_evidence(photos, photos - each, 0.95, 0.05))
            if total >= 3:
                alarms, total = alarms + 1, 0.0
        assert alarms <= 20_000 * math.exp(-3)


# ── Counting ──


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
    told = {"novelty": {"N": str(novelty)}} if novelty is not None else {}
    return {
        "label": {"S": label},
        "confidence": {"N": str(confidence)},
        "status": {"S": status},
        "model": {"S": model},
        "recorded_at": {"S": at.isoformat()},
        **told,
        **person,
    }


def test_counts_are_those_of_numpy(report):
    dice = np.random.default_rng(0)
    confidences = [*(dice.random(2000).round(6)), 0.0, 0.29, 0.57, 0.58, 1.0, 0.95, 0.99]
    window = report.Window("2026-11-20T12")
    window.count(record(confidence=float(each)) for each in confidences)
    tally = window.models[MODEL]
    theirs, _ = np.histogram(confidences, [round(at / 100, 2) for at in range(101)])
    assert tally.confidence == theirs.tolist()
    assert tally.predictions == len(confidences)
    assert tally.confidence_sum == pytest.approx(sum(confidences))


def test_photos_without_a_prediction_belong_to_no_model(report):
    window = report.Window("2026-11-20T12")
    unreadable = {"status": {"S": "rejected"}, "recorded_at": {"S": NOON.isoformat()}}
    window.count([record(), unreadable, record(status="failed"), {"status": {"S": "failed"}}])
    assert (window.unreadable, window.failed) == (1, 2)
    assert window.models[MODEL].predictions == 1


def test_novelty_has_the_mean_and_deviation_of_numpy(report):
    told = np.random.default_rng(0).random(500).round(4).tolist()
    halves = report.Tally(), report.Tally()
    for tally, part in zip(halves, (told[:200], told[200:]), strict=True):
        window = report.Window("2026-11-20T12", {MODEL: tally})
        window.count([record(novelty=each) for each in part] + [record()])
    halves[0].add(halves[1])
    novelty = halves[0].novelty
    assert novelty.count == 500
    assert (novelty.mean, novelty.deviation) == pytest.approx((np.mean(told), np.std(told)))
    assert report.Tally().novelty.mean is report.Tally().novelty.deviation is None


def test_a_window_survives_being_kept_as_json(report):
    window = report.Window("2026-11-20T12", unreadable=3)
    window.count([record("other", 0.6, "review", reviewed="bicycle", model="b/2")])
    window.count([record(novelty=0.25)])
    kept = json.loads(json.dumps(asdict(window)))
    assert report.Window.from_json(kept) == window


# ── Verdicts ──


def traffic(
    report: ModuleType,
    hours: int = 30,
    photos: int = 40,
    *,
    mean: float | None = None,
    novelty: float | None = 0.35,
    labels: dict[str, float] | None = None,
    audited: float = 0.1,
    sure: float = 0.99,
    unsure: float = 0.77,
    seed: int = 1,
) -> list[Any]:
    """Windows of photos like the baseline's, or with what is given changed; the newest first."""
    dice = np.random.default_rng(seed)
    baseline = METADATA["baseline"]
    edges, shares = baseline["confidence_edges"], baseline["confidence"]
    mix = labels or baseline["labels"]
    windows = []
    for number in range(hours):
        at = NOON - timedelta(hours=number)
        window = report.Window(at.strftime("%Y-%m-%dT%H"))
        bins = dice.choice(len(shares), photos, p=shares)
        confidences = dice.uniform(np.array(edges)[bins], np.array(edges)[bins + 1])
        for confidence, label in zip(
            (confidences + (mean or 0.92) - 0.92).clip(0.34, 1).round(6),
            dice.choice(list(mix), photos, p=list(mix.values())),
            strict=True,
        ):
            status = "review" if confidence < 0.95 else "accepted"
            right = dice.random() < (sure if status == "accepted" else unsure)
            looked_at = status == "review" or dice.random() < audited
            person = (label if right else "somebody else") if looked_at else None
            told = None if novelty is None else min(1.0, max(0.0, dice.normal(novelty, 0.15)))
            window.count([record(label, confidence, status, told, reviewed=person, at=at)])
        windows.append(window)
    return windows


def described(report: ModuleType, windows: list[Any], metadata: Any = METADATA) -> dict[str, Any]:
    baseline = report.Baseline.from_metadata(metadata) if metadata else None
    result: dict[str, Any] = report.describe(MODEL, windows, baseline, 0.25)
    return result


def test_traffic_like_the_baseline_is_all_right(report):
    verdict = described(report, traffic(report))
    assert verdict["predictions"] >= 500
    assert verdict["drift"] < 0.1
    assert verdict["accuracy_drop"] < 1
    assert verdict["measured_accuracy_low"] < 0.92 < verdict["measured_accuracy_high"]
    assert verdict["estimated_accuracy"] == pytest.approx(0.92, abs=0.02)
    assert 0.2 < verdict["review_rate"] < 0.4


def test_a_window_is_the_last_hour_where_that_is_enough(report):
    assert described(report, traffic(report, hours=3, photos=600))["hours"] == 1
    assert described(report, traffic(report, hours=30, photos=40))["hours"] == 13


def test_less_sure_photos_are_an_accuracy_drop_before_anybody_reviews_them(report):
    windows = traffic(report, hours=13, mean=0.87, audited=0) + traffic(report)
    verdict = described(report, windows)
    assert verdict["accuracy_drop"] >= 1
    assert verdict["accuracy_drop_seen_in"] == "confidence"
    assert verdict["confidence_drift"] > 0.1


def test_photos_unlike_those_that_were_trained_on_ring_though_the_model_is_sure(report):
    windows = traffic(report, hours=13, novelty=0.45, audited=0) + traffic(report)
    verdict = described(report, windows)
    assert verdict["accuracy_drop"] >= 1
    assert verdict["accuracy_drop_seen_in"] == "novelty"
    assert verdict["novelty"] == pytest.approx(0.45, abs=0.02)
    assert verdict["confidence_drift"] < 0.1


@pytest.mark.parametrize("lacking", ["model", "baseline", "spread"])
def test_a_novelty_that_is_not_told_is_no_evidence(report, lacking):
    told = {"mean_novelty": None if lacking == "baseline" else 0.1}
    told |= {"novelty_deviation": 0.0 if lacking == "spread" else 0.15}
    windows = traffic(report, novelty=None if lacking == "model" else 0.35)
    metadata = METADATA | {"baseline": METADATA["baseline"] | told}
    verdict = described(report, windows, metadata)
    assert verdict["accuracy_drop"] < 1
    assert (verdict["novelty"] is None) is (lacking == "model")


def test_a_baseline_that_was_always_sure_needs_more_than_one_unsure_photo_to_ring(report):
    always = {"confidence": [0, 0, 0, 0, 0, 1], "mean_confidence": 0.995}
    metadata = METADATA | {"baseline": METADATA["baseline"] | always}
    quiet = report.Window("2026-11-20T11")
    quiet.count(record(confidence=0.995) for _ in range(200))
    newest = report.Window("2026-11-20T12")
    newest.count([record(confidence=0.4)])
    verdict = described(report, [newest, quiet], metadata)
    assert verdict["accuracy_drop"] < 1
    newest.count(record(confidence=0.4) for _ in range(20))
    assert described(report, [newest, quiet], metadata)["accuracy_drop"] >= 1


def test_the_alarm_ends_soon_after_its_cause(report):
    night = traffic(report, hours=12, photos=60, mean=0.75, audited=0)
    assert described(report, night)["accuracy_drop"] == pytest.approx(1.2)
    day = traffic(report, hours=6, photos=60, audited=0, seed=2)
    assert described(report, day + night)["accuracy_drop"] < 1


def test_mistakes_that_the_model_is_sure_of_are_seen_in_the_audit(report):
    windows = traffic(report, hours=40, audited=0.2, sure=0.9) + traffic(report)
    verdict = described(report, windows)
    assert verdict["accuracy_drop"] >= 1
    assert verdict["accuracy_drop_seen_in"] == "sure"
    assert verdict["measured_accuracy"] < 0.9


def test_an_accuracy_that_few_reviews_found_is_not_taken_for_the_truth(report, formulas):
    """After 20 reviews without a mistake, 5 mistakes in 80 may come without any drop."""
    tally = report.Tally(confidence_sum=1840.0)
    tally.statuses["accepted"] = formulas.Stratum(2000, 80, 75)
    windows = [report.Window("2026-11-20T12", {MODEL: tally})]
    flawless = {"share": 1.0, "accuracy": 1.0}
    none = {"share": 0.0, "accuracy": None}
    for reviewed, rings in ((None, True), (20, False)):
        status = flawless if reviewed is None else flawless | {"reviewed": reviewed}
        statuses = {"accepted": status, "review": none, "rejected": none}
        whole = METADATA["baseline"] | {"count": 2000, "statuses": statuses}
        drop = described(report, windows, METADATA | {"baseline": whole})["accuracy_drop"]
        assert (drop >= 1) is rings


def test_another_mix_of_labels_is_drift(report):
    labels = {"bicycle": 0.1, "motorcycle": 0.1, "scooter": 0.8}
    verdict = described(report, traffic(report, labels=labels))
    assert verdict["label_drift"] > 0.25
    assert verdict["confidence_drift"] < 0.1
    assert verdict["drift"] == verdict["label_drift"]


def test_too_little_data_gives_no_verdict(report):
    """60 photos, all of one label, a third of them wrong: it may be chance, and nothing rings."""
    windows = traffic(report, hours=1, photos=60, labels={"other": 1.0}, sure=0.67)
    verdict = described(report, windows)
    for name in ("confidence_drift", "estimated_accuracy", "review_rate", "measured_accuracy"):
        assert verdict[name] is None, name
    assert verdict["accuracy_drop"] < 1


def test_accuracy_is_not_measured_without_an_audit(report):
    """Nobody has looked at what the model is sure of: anything may be true of it."""
    assert described(report, traffic(report, audited=0))["measured_accuracy"] is None


def test_accuracy_is_not_measured_while_one_part_has_no_reviews(report, formulas):
    """A small part would hardly widen the interval, and anything may be true of it."""
    tally = report.Tally()
    tally.statuses["accepted"] = formulas.Stratum(450, 200, 198)
    windows = [report.Window("2026-11-20T12", {MODEL: tally})]
    assert described(report, windows)["measured_accuracy"] == pytest.approx(0.99)
    tally.statuses["review"] = formulas.Stratum(50, 0, 0)
    assert described(report, windows)["measured_accuracy"] is None
    tally.statuses["review"] = formulas.Stratum(50, 20, 15)
    assert described(report, windows)["measured_accuracy"] == pytest.approx(0.966)


def test_other_models_do_not_count(report):
    windows = traffic(report, hours=2, photos=300)
    before = described(report, windows)
    windows[0].count([record(confidence=0.4, status="review", model="other/9")] * 300)
    assert described(report, windows) == before


def test_without_a_baseline_what_needs_none_is_told(report):
    verdict = described(report, traffic(report), metadata=None)
    assert verdict["drift"] is verdict["accuracy_drop"] is None
    assert verdict["measured_accuracy"] is not None
    assert verdict["review_rate"] is not None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda baseline: baseline.pop("statuses"), "no whole baseline"),
        (lambda baseline: baseline.pop("mean_confidence"), "no whole baseline"),
        (lambda baseline: baseline.update(confidence=[1.0]), "does not fit"),
        (lambda baseline: baseline.update(count=0), "does not fit"),
        (lambda baseline: baseline["confidence_edges"].__setitem__(1, 0.333), "hundredths"),
    ],
)
def test_a_baseline_that_lacks_something_is_refused(report, change, problem):
    metadata = json.loads(json.dumps(METADATA))
    change(metadata["baseline"])
    with pytest.raises(ValueError, match=problem):
        report.Baseline.from_metadata(metadata)


def test_the_shipped_model_has_a_baseline(report):
    baseline = report.Baseline.from_metadata(json.loads(SHIPPED.read_text()))
    assert 0.5 < baseline.mean_confidence < 1
    assert baseline.sure_accuracy > baseline.unsure_accuracy


# ── What AWS is asked and told ──


class Cloud:
    """Moto's tables and bucket as the template makes them, and the function before them."""

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
        """What DriftTable has of an hour."""
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


def test_measured_again_nothing_is_counted_twice(cloud):
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


def test_an_hour_is_measured_again_for_ten_days_and_more(cloud):
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


def test_an_hour_without_predictions_says_nothing(cloud, capsys):
    fill(cloud, at=NOON - timedelta(hours=1))
    assert cloud.measure() is None
    assert cloud.kept() == {}
    assert "_aws" not in capsys.readouterr().out


def test_the_model_in_service_is_the_one_that_answered_last(cloud):
    fill(cloud)
    cloud.put(999, record(model="next/2"), NOON + timedelta(minutes=59))
    report = cloud.measure()
    assert report is not None
    assert report["model"] == "next/2"
    assert report["drift"] is None  # nobody has put its baseline


def test_the_shipped_baseline_is_the_default(cloud, monkeypatch):
    shipped = json.loads(SHIPPED.read_text())
    assert cloud.app.read_baseline(f"{shipped['name']}/{shipped['version']}") is not None
    assert cloud.app.read_baseline("another/1") is None
    # One in the bucket comes first.
    changed = METADATA | {"baseline": METADATA["baseline"] | {"count": 7}}
    key = f"baselines/{shipped['name']}/{shipped['version']}.json"
    cloud.s3.put_object(Bucket="photos", Key=key, Body=json.dumps(changed))
    assert cloud.app.read_baseline(f"{shipped['name']}/{shipped['version']}").count == 7


def test_what_was_made_of_traffic_comes_before_the_models_own(cloud):
    traffic = METADATA | {"baseline": METADATA["baseline"] | {"count": 7}}
    cloud.s3.put_object(
        Bucket="photos", Key=f"baselines/{MODEL}/traffic.json", Body=json.dumps(traffic)
    )
    assert cloud.app.read_baseline(MODEL).count == 7
    cloud.s3.delete_object(Bucket="photos", Key=f"baselines/{MODEL}/traffic.json")
    assert cloud.app.read_baseline(MODEL).count == 600


def test_a_broken_baseline_is_an_error_after_counting(cloud):
    fill(cloud)
    cloud.s3.put_object(Bucket="photos", Key=f"baselines/{MODEL}.json", Body='{"baseline": {}}')
    with pytest.raises(ValueError, match="no whole baseline"):
        cloud.measure()
    assert cloud.kept()["counts"]


@pytest.mark.parametrize("hour", ["yesterday", "2026-11-20", 14])
def test_an_hour_that_is_none_is_refused(cloud, hour):
    with pytest.raises(ValueError, match='not an hour like "2026-11-20T14"'):
        cloud.measure(hour)


def test_by_default_the_last_whole_hour_is_measured(cloud):
    hour = cloud.app.parse_hour(None)
    assert timedelta(hours=1) <= datetime.now(UTC) - hour < timedelta(hours=2)
