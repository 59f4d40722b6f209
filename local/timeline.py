"""Draw the timeline of `make drill` as SVG: what came, what was measured, which alarms followed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, LEFT, PANEL, TOP, ROW = 1000, 120, 130, 40, 22
COLOURS = {
    "baseline": "#f1f3f5",
    "at night": "#dbe4ff",
    "without a vehicle": "#ffe8cc",
    "a broken camera": "#ffe3e3",
}
# Title, lowest and highest value, and lines: name, colour, key of the report.
PANELS: list[tuple[str, float, float, list[tuple[str, str, str]]]] = [
    (
        "accuracy",
        0.4,
        1.0,
        [
            ("true", "#868e96", "true"),
            ("estimated", "#1971c2", "estimated_accuracy"),
            ("measured", "#2f9e44", "measured_accuracy"),
        ],
    ),
    ("drift", 0.0, 2.0, [("index", "#e8590c", "drift")]),
    ("review rate", 0.0, 1.0, [("below threshold", "#9c36b5", "review_rate")]),
]


@dataclass
class Hour:
    """One hour of the drill.

    Attributes:
        phase: what kind of photos came.
        accuracy: share of its photos that the model classified correctly.
        report: what MeasureDrift returned.
        alarms: logical ids of the alarms in ALARM at its end.

    """

    phase: str
    accuracy: float
    report: dict[str, Any]
    alarms: set[str]


def draw(hours: Sequence[Hour], alarms: Sequence[str]) -> str:
    """The timeline as SVG."""
    step = (WIDTH - LEFT - 20) / len(hours)
    bottom = TOP + len(PANELS) * PANEL + len(alarms) * ROW + 10
    parts = [*phases(hours, step, bottom)]
    for number, panel in enumerate(PANELS):
        parts += draw_panel(hours, step, TOP + number * PANEL, *panel)
    for number, alarm in enumerate(alarms):
        y = TOP + len(PANELS) * PANEL + 10 + number * ROW
        parts.append(f'<text x="8" y="{y + 12}">{alarm.removesuffix("Alarm")}</text>')
        parts += [
            f'<rect x="{LEFT + at * step:.1f}" y="{y}" width="{step + 0.5:.1f}" height="14" '
            'fill="#e03131"/>'
            for at, hour in enumerate(hours)
            if alarm in hour.alarms
        ]
    parts.append(f'<text x="8" y="{bottom + 12}">hour</text>')
    for at in range(0, len(hours), 6):
        x = LEFT + (at + 0.5) * step
        parts.append(f'<text x="{x:.1f}" y="{bottom + 12}" text-anchor="middle">{at}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 20}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def phases(hours: Sequence[Hour], step: float, bottom: float) -> Iterator[str]:
    """The background of the hours in which something was different."""
    before = ""
    for at, hour in enumerate(hours):
        x = LEFT + at * step
        if hour.phase in COLOURS:
            yield (
                f'<rect x="{x:.1f}" y="30" width="{step + 0.5:.1f}" height="{bottom - 30:.1f}" '
                f'fill="{COLOURS[hour.phase]}"/>'
            )
            if hour.phase != before:
                yield f'<text x="{x:.1f}" y="22">{escape(hour.phase)}</text>'
        before = hour.phase


def draw_panel(
    hours: Sequence[Hour],
    step: float,
    top: float,
    title: str,
    low: float,
    high: float,
    lines: Sequence[tuple[str, str, str]],
) -> Iterator[str]:
    """One diagram: its title, its scale, and a line for each of its values."""
    yield f'<text x="8" y="{top + 14}" font-weight="bold">{title}</text>'

    def height(value: float) -> float:
        return top + (PANEL - 20) * (high - min(high, max(low, value))) / (high - low)

    for value in (low, high):
        y = height(value)
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        yield f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ced4da"/>'
    for number, (name, colour, key) in enumerate(lines):
        values = [hour.accuracy if key == "true" else hour.report[key] for hour in hours]
        path, before = "", None  # interrupted where a value is missing
        for at, value in enumerate(values):
            if value is not None:
                x, y = LEFT + (at + 0.5) * step, height(value)
                path += f"M{x:.1f},{y:.1f}h0" if before is None else f"L{x:.1f},{y:.1f}"
            before = value
        yield (
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            'stroke-linecap="round"/>'
        )
        yield f'<text x="8" y="{top + 34 + 16 * number}" fill="{colour}">{name}</text>'
