"""The decision whether a new model may serve."""

import itertools

import pytest

from training import gate


def named(truth: list[str], wrong: set[int]) -> list[str]:
    """The predictions of a model that is wrong on these photos."""
    return ["none" if at in wrong else label for at, label in enumerate(truth)]


TRUTH = ["bicycle"] * 100 + ["motorcycle"] * 100 + ["other"] * 200


def test_a_clearly_better_model_is_accepted() -> None:
    old, new = named(TRUTH, set(range(0, 400, 10))), named(TRUTH, set(range(0, 400, 20)))
    verdict = gate.judge(TRUTH, old, new)
    assert verdict.accepted
    assert (verdict.better, verdict.worse, verdict.photos) == (20, 0, 400)
    assert (verdict.champion, verdict.challenger) == (0.9, 0.95)
    assert verdict.labels == {"bicycle": 0.05, "motorcycle": 0.05, "other": 0.05}
    assert "20 of 400 photos are classified better, 0 worse" in verdict.reason


def test_a_model_that_is_better_by_chance_is_refused() -> None:
    old, new = named(TRUTH, set(range(40, 50))), named(TRUTH, set(range(50, 56)))
    verdict = gate.judge(TRUTH, old, new)
    assert not verdict.accepted
    assert verdict.challenger > verdict.champion
    assert "no better than chance explains" in verdict.reason


def test_the_same_model_is_refused() -> None:
    verdict = gate.judge(TRUTH, named(TRUTH, {1, 2}), named(TRUTH, {1, 2}))
    assert not verdict.accepted
    assert verdict.p_value == 1


def test_a_better_model_is_refused_if_one_label_becomes_worse() -> None:
    old, new = named(TRUTH, set(range(200, 260))), named(TRUTH, {0, 1, 2, 3})
    verdict = gate.judge(TRUTH, old, new)
    assert not verdict.accepted
    assert verdict.labels["bicycle"] == -0.04
    assert "worse at bicycle by 4.0 points" in verdict.reason
    assert gate.judge(TRUTH, old, named(TRUTH, {0, 1, 2})).accepted


def test_a_model_is_refused_if_there_are_too_few_photos() -> None:
    truth = TRUTH[:99]
    verdict = gate.judge(truth, named(truth, set(range(99))), truth)
    assert not verdict.accepted
    assert "99 test photos are too few" in verdict.reason
    assert not gate.judge([], [], []).accepted


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (1, 0), (5, 5), (9, 1), (3, 9), (0, 8)])
def test_the_p_value_is_that_of_throws_of_a_coin(better: int, worse: int) -> None:
    throws = list(itertools.product([0, 1], repeat=better + worse))
    as_good = sum(sum(throw) >= better for throw in throws)
    assert gate.better_by_chance(better, worse) == as_good / len(throws)


def test_predictions_of_different_photos_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        gate.judge(TRUTH, TRUTH, TRUTH[1:])
