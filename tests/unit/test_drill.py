"""The parts of `make drill` that need no cloud: its photos, its hours, its result."""

import io
import json
from collections import Counter
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from local import drill
from local.drill_photos import PHOTOS_OF_A_KIND, Photo, make_kinds
from local.timeline import Hour, draw

SVG = "{http://www.w3.org/2000/svg}"
REPORT = dict.fromkeys(("estimated_accuracy", "measured_accuracy", "drift", "review_rate"), 0.9)


@pytest.fixture(scope="module")
def kinds() -> dict[str, list[Photo]]:
    return make_kinds()


def hours(*alarms: tuple[str, set[str]]) -> list[Hour]:
    return [Hour(phase, 0.9, REPORT, which) for phase, which in alarms]


def test_photos_of_the_drill_are_parts_of_the_sample_photos(kinds: dict[str, list[Photo]]) -> None:
    assert kinds.keys() == {drill.QUIET, *drill.FAULTS}
    assert {photo.truth for photo in kinds["quiet"]} == {"bicycle", "motorcycle"}
    assert {photo.truth for photo in kinds["without a vehicle"]} == {"other"}
    assert len({photo.jpeg for photos in kinds.values() for photo in photos}) == (
        len(kinds) * PHOTOS_OF_A_KIND
    )


def test_every_fault_comes_after_quiet_hours_and_is_followed_by_some(
    kinds: dict[str, list[Photo]],
) -> None:
    phases = drill.plan(kinds)
    names = [name for name, _ in phases]
    assert Counter(names) == {
        "baseline": drill.HOURS,
        "quiet": drill.HOURS,
        **dict.fromkeys(drill.FAULTS, drill.HOURS),
        "quiet again": 3 * drill.HOURS,
    }
    assert all(sum(share for _, share in photos) == pytest.approx(1) for _, photos in phases)
    for fault in drill.FAULTS:
        first = names.index(fault)
        assert names[first - 1].startswith("quiet")
        assert names[first + drill.HOURS] == "quiet again"


@pytest.mark.parametrize(
    ("alarms", "kept"),
    [
        ([set(), {"DriftAlarm"}, {"DriftAlarm"}, {"DriftAlarm", "AccuracyAlarm"}], True),
        ([set(), {"DriftAlarm"}, set(), {"DriftAlarm"}], True),
        ([{"DriftAlarm"}, {"DriftAlarm", "AccuracyAlarm"}, set(), {"DriftAlarm"}], False),
        (
            [set(), {"DriftAlarm"}, {"DriftAlarm"}, {"DriftAlarm"}],
            False,
        ),  # the second one, which no alarm noticed
    ],
)
def test_the_drill_says_whether_the_alarms_were_as_expected(
    alarms: list[set[str]], kept: bool
) -> None:
    phases = ["quiet", "at night", "quiet again", "a broken camera"]
    table, promised = drill.summarize(hours(*zip(phases, alarms, strict=True)))
    assert promised is kept
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    assert "at night" in console.export_text()


def test_metrics_of_the_log_are_published_as_they_were_printed() -> None:
    line = {
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "SconesUnlimited",
                    "Dimensions": [["service"]],
                    "Metrics": [{"Name": "Drift", "Unit": "None"}],
                }
            ]
        },
        "service": "scones-unlimited",
        "Drift": [0.3],
    }
    log = f'START RequestId: 1\n{{"level": "INFO"}}\n{json.dumps(line)}\nEND RequestId: 1\n'
    [metric] = drill.embedded_metrics(log)
    assert metric["Namespace"] == "SconesUnlimited"
    [data] = metric["MetricData"]
    assert (data["MetricName"], data["Value"]) == ("Drift", 0.3)
    assert data["Dimensions"] == [{"Name": "service", "Value": "scones-unlimited"}]


def test_the_timeline_shows_which_hours_an_alarm_was_in_alarm() -> None:
    timeline = ET.fromstring(
        draw(hours(("quiet", set()), ("at night", {"DriftAlarm"})), drill.ALARMS)
    )
    red = [rect for rect in timeline.iter(f"{SVG}rect") if rect.get("fill") == "#e03131"]
    assert len(red) == 1
    assert {"Drift", "at night"} <= {text.text for text in timeline.iter(f"{SVG}text")}


def test_lines_of_the_timeline_are_interrupted_where_a_value_is_missing() -> None:
    reports = [dict.fromkeys(REPORT, value) for value in (0.9, 0.8, None, 0.9)]
    found = [Hour("quiet", 0.95, report, set()) for report in reports]
    timeline = ET.fromstring(draw(found, drill.ALARMS))
    lines = [path.get("d") or "" for path in timeline.iter(f"{SVG}path")]
    true, *measured = [(line.count("M"), line.count("L")) for line in lines]
    assert true == (1, 3)
    assert set(measured) == {(2, 1)}
