"""The use case of a command."""

from pathlib import Path
from types import ModuleType

import pytest

from local import demo, keep, run
from local.command import check_labels
from local.use_cases import UseCase
from tests.unit.local_commands.commands import carried_out


@pytest.mark.parametrize(("module", "action"), [(run, []), (keep, ["up"])])
def test_an_unknown_use_case_is_refused_with_the_known_ones(
    state: Path, module: ModuleType, action: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert carried_out(module, *action, "--use-case", "plants") == 1
    assert capsys.readouterr().out == (
        "Stopped: there is no use case 'plants': give one of scones, social, vehicles, or add an "
        "environment to samconfig.toml (docs/use-cases.md)\n"
    )


def test_a_use_case_without_a_model_says_how_to_train_one(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plants = UseCase("plants", "scones-unlimited-plants", {})
    monkeypatch.setattr(run, "find_use_case", lambda _: plants)
    (state / "1.jpg").touch()
    assert carried_out(run, "--photos", str(state), "--use-case", "plants") == 1
    assert capsys.readouterr().out == (
        f"Stopped: {plants.model} has no model: train one with `make train PHOTOS=my/photos "
        "NAME=plants`\n"
    )


@pytest.mark.parametrize(
    ("parameters", "labels"),
    [({"Labels": "loaf,other"}, "loaf,other"), ({}, "bicycle,motorcycle,other")],
)
def test_labels_that_are_not_those_of_the_model_are_refused_before_the_start(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    parameters: dict[str, str],
    labels: str,
) -> None:
    scones = UseCase("scones", "scones-unlimited-scones", parameters)
    monkeypatch.setattr(keep, "find_use_case", lambda _: scones)
    assert carried_out(keep, "up", "--use-case", "scones") == 1
    assert capsys.readouterr().out == (
        f"Stopped: the labels of use case scones are {labels}, those of its model are "
        "broken,intact,other: set Labels=broken,intact,other in samconfig.toml\n"
    )


def test_labels_of_the_model_in_another_order_are_no_problem(state: Path) -> None:
    check_labels(UseCase("scones", "", {"Labels": "other,intact,broken"}))


def test_the_demo_of_another_use_case_is_refused(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        carried_out(demo, "--use-case", "scones")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "Stopped: the demo shows couriers and orders of vehicles only: leave out USE_CASE, or run "
        "`make up USE_CASE=scones`\n"
    )
