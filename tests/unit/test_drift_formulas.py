"""The formulas of drift, compared with SciPy and scikit-learn."""

import itertools
import math
import random
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score


@pytest.fixture(scope="module")
def formulas(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("measure_drift", "formulas")


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
