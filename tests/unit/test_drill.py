"""What `make drill` shows, where no cloud is needed: its photos, its hours, its picture."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import drill
import pytest
from pillow_heif import register_heif_opener

from operations import baseline

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[drill.Photo]]:
    register_heif_opener()
    monkeypatch.setattr(drill, "DATA", tmp_path)  # no real photos
    return drill.make_kinds()


def test_drawn_photos_stand_in_for_real_ones(kinds: dict[str, list[drill.Photo]]) -> None:
    assert {len(photos) for photos in kinds.values()} == {drill.PHOTOS_OF_A_KIND}
    assert {photo.truth for photo in kinds["quiet"]} == {"bicycle", "motorcycle"}
    assert {photo.truth for photo in kinds["a new kind of vehicle"]} == {"other"}
    assert len({photo.jpeg for photos in kinds.values() for photo in photos}) == 4 * 80


def test_every_trouble_is_followed_by_quiet_hours(kinds: dict[str, list[drill.Photo]]) -> None:
    hours = list(drill.phases(kinds, quiet=3))
    assert Counter(name for name, _ in hours) == {
        "quiet": 3,
        "at night": 6,
        "a new kind of vehicle": 6,
        "a broken camera": 6,
        "quiet again": 18,
    }
    assert all(sum(share for _, share in shares) == pytest.approx(1) for _, shares in hours)
    following = {(hours[at][0], hours[at + 1][0]) for at in range(len(hours) - 1)}
    assert drill.RETRAININGS.keys() <= following


@pytest.mark.parametrize("hours", ["8", "0", "-1", "few"])
def test_too_few_quiet_hours_for_a_baseline_are_refused_at_once(
    hours: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["drill.py", "--quiet-hours", hours])
    monkeypatch.setattr(drill, "LocalCloud", None)  # nothing is started
    with pytest.raises(SystemExit, match="2"):
        drill.main()
    assert "is not a whole number from 9 on: a baseline takes 500" in capsys.readouterr().err


def test_the_fewest_quiet_hours_are_those_that_a_baseline_takes() -> None:
    photos = [hours * drill.PHOTOS_AN_HOUR for hours in (8, drill.FEWEST_QUIET_HOURS)]
    assert photos[0] < baseline.FEWEST_PREDICTIONS <= photos[1]


def test_the_timeline_shows_when_an_alarm_rang() -> None:
    report = dict.fromkeys(drill.METRICS, 0.9)
    quiet = drill.Hour("quiet", 0.95, report, set())
    night = drill.Hour("at night", 0.6, report, {"DriftAlarm"}, then="retrained: refused")
    unknown = drill.Hour("quiet", 0.95, dict.fromkeys(drill.METRICS), set())
    picture = ET.fromstring(drill.draw([unknown, quiet, night]))
    ringing = [rect for rect in picture.iter(f"{SVG}rect") if rect.get("fill") == "#e03131"]
    assert len(ringing) == 1
    assert {"Drift", "at night", "retrained: refused"} <= {
        text.text for text in picture.iter(f"{SVG}text")
    }


def test_lines_of_the_timeline_end_where_nothing_is_known() -> None:
    reports = [dict.fromkeys(drill.METRICS, value) for value in (0.9, 0.8, None, 0.9)]
    hours = [drill.Hour("quiet", 0.95, report, set()) for report in reports]
    lines = [path.get("d") or "" for path in ET.fromstring(drill.draw(hours)).iter(f"{SVG}path")]
    true, *measured = [(line.count("M"), line.count("L")) for line in lines]
    assert true == (1, 3)
    assert set(measured) == {(2, 1)}
