"""The delay of AccuracyDropAlarm and the number of false alarms, with simulated photos."""

import math

import numpy as np

from benchmarks.drift_photos import (
    BASELINE,
    MAXIMUM_DRIFT,
    NAME,
    OURS,
    REVIEWING,
    Photos,
    Reviewing,
    baseline_photos,
    harder,
    make_hour,
    rate,
    silent,
    silent_above_threshold,
)
from functions.measure_drift.report import DROP, Baseline, Report, accuracy_drop, describe
from functions.measure_drift.windows import Tally, Window
from operations.baseline import describe_traffic

WEEK = 7 * 24


def delay(
    generator: np.random.Generator,
    before: Photos,
    after: Photos,
    reviewing: Reviewing,
    a_day: int,
    most: int,
) -> tuple[int, str] | None:
    """Predictions until AccuracyDropAlarm goes to ALARM, and the metric that shows the drop.

    None if it does not within `most` predictions.
    """
    windows = [
        make_hour(generator, before, generator.poisson(a_day / 24), reviewing) for _ in range(WEEK)
    ]
    seen = 0
    while seen < most:
        hour = make_hour(generator, after, generator.poisson(a_day / 24), reviewing)
        seen += sum(hour.models[NAME].labels.values())
        windows = [hour, *windows[: WEEK - 1]]
        statistic, name = accuracy_drop(NAME, windows, BASELINE)
        if statistic >= 1:
            return seen, name
    return None


def print_delays(
    title: str, before: Photos, after: Photos, reviewing: Reviewing, runs: int, a_day: int
) -> None:
    """Print one line: share within 500 predictions, median and 95th percentile of the delays."""
    generator = np.random.default_rng(5)
    most = 5_000
    found = [delay(generator, before, after, reviewing, a_day, most) for _ in range(runs)]
    delays = sorted(each[0] if each else most for each in found)
    seen = [each[1] for each in found if each]
    metric = max(set(seen), key=seen.count) if seen else "-"
    within = rate(sum(each <= 500 for each in delays), runs)
    print(
        f"{title:52}{within:>24}{delays[runs // 2]:>8,}{delays[int(runs * 0.95)]:>8,}  {metric}",
        flush=True,
    )


def in_alarm(report: Report, drifting: int, below: int) -> set[str]:
    """The alarms in ALARM; `drifting`, `below`: hours in a row over the maximum of their metric."""
    high = report["measured_accuracy_high"]
    states = {
        "AccuracyAlarm": high is not None and high < 0.85,
        "AccuracyDropAlarm": (report["accuracy_drop"] or 0) >= 1,
        "DriftAlarm": drifting >= 3,
        "ReviewRateAlarm": below >= 3,
    }
    return {name for name, is_alarm in states.items() if is_alarm}


def week_as_baseline(windows: list[Window]) -> Baseline:
    """What `operations.baseline --days 7` makes of a week."""
    total = Tally()
    for window in windows:
        total.add(window.models[NAME])
    return Baseline.from_metadata({"baseline": describe_traffic(total)})


def false_alarms(
    photos: Photos,
    reviewing: Reviewing,
    days: int,
    a_day: int,
    seed: int,
    *,
    after_a_week: bool = False,
) -> int:
    """How often an alarm went to ALARM in `days` without a change.

    The baseline is the model's own, or the week before these days.
    """
    generator = np.random.default_rng(seed)
    baseline, windows = BASELINE, list[Window]()
    if after_a_week:
        hours = (generator.poisson(a_day / 24) for _ in range(WEEK))
        windows = [make_hour(generator, photos, count, reviewing) for count in hours]
        baseline = week_as_baseline(windows)
    before: set[str] = set()
    drifting = below = began = 0
    for _ in range(days * 24):
        window = make_hour(generator, photos, generator.poisson(a_day / 24), reviewing)
        windows = [window, *windows[: WEEK - 1]]
        if not window.models[NAME].labels:
            continue
        report = describe(NAME, windows, baseline, MAXIMUM_DRIFT)
        drifting = drifting + 1 if (report["drift"] or 0) > MAXIMUM_DRIFT else 0
        below = below + 1 if (report["review_rate"] or 0) > 0.5 else 0
        now = in_alarm(report, drifting, below)
        began += len(now - before)
        before = now
    return began


HEADER = f"{'':52}{'within 500 predictions':>24}{'median':>8}{'95%':>8}  seen in"


def detection(runs: int, quarters: int) -> None:
    """Print the false alarms of quiet days, and the delays of three kinds of drops."""
    quiet = baseline_photos()
    for a_day in (500, 40_000):
        print_false_alarms(f"{a_day:,} photos a day", quiet, quarters, a_day)
    title = "500 photos a day, against the week before"
    print_false_alarms(title, quiet, quarters, 500, after_a_week=True)
    print(f"\nA drop of 5 points from {100 * quiet.accuracy:.1f}%, 500 photos a day, {runs} runs:")
    print(HEADER)
    changes = {
        "confidence falls too": harder,
        "silent": silent,
        "silent, above the threshold": silent_above_threshold,
    }
    for name, change in changes.items():
        for policy, reviewing in REVIEWING.items():
            print_delays(f"{name}; reviewed: {policy}", quiet, change(quiet), reviewing, runs, 500)
    limits(quiet.accuracy)


def print_false_alarms(
    title: str, photos: Photos, quarters: int, a_day: int, *, after_a_week: bool = False
) -> None:
    """Print one line: the false alarms of quarters of 90 quiet days."""
    alarms = [
        false_alarms(photos, OURS, 90, a_day, seed, after_a_week=after_a_week)
        for seed in range(quarters)
    ]
    print(
        f"{quarters} times 90 quiet days, {title}: {sum(alarms)} false alarms, at least one in "
        f"{rate(sum(map(bool, alarms)), quarters)}",
        flush=True,
    )


def limits(accuracy: float) -> None:
    """Print what no test can do with the outcomes of reviews alone."""
    for good in (accuracy, 0.95, 0.99):
        bad = good - DROP
        divergence = (1 - bad) * math.log((1 - bad) / (1 - good)) + bad * math.log(bad / good)
        least = math.log(90 * 50) / divergence
        print(
            f"from {100 * good:.1f}%: each review adds {divergence:.3f} nats; with one false "
            f"alarm in 90 days, no test goes to ALARM before about {least:.0f} reviews"
        )
    wrong = next(k for k in range(51) if upper_tail(50, 0.05, k) <= 1 / 90)
    power = upper_tail(50, 0.1, wrong)
    print(
        f"50 reviews, 95% against 90%: {wrong} wrong ones are a false alarm once in 90 days, and "
        f"detect the drop in {100 * power:.0f}% of cases"
    )


def upper_tail(count: int, share: float, least: int) -> float:
    """The probability of `least` or more of `count`, each with the probability `share`."""
    return math.fsum(
        math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(least, count + 1)
    )
