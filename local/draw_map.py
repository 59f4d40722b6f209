"""Draw the routes of a dispatch: one HTML page that needs nothing else, no network either."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
VEHICLES = PROJECT / "functions" / "dispatch_orders" / "vehicles.json"

SIZE = 900  # width and height of the photo, pixels
MARGIN = 40  # pixels
KM_PER_DEGREE = 111.2  # of latitude
RINGS_KM = (1, 2, 3, 5, 10, 15, 20, 30, 50)
# One colour family a vehicle, so that they are told apart at a glance; motorcycles are dashed.
COLOURS = {
    "bicycle": ("#15803d", "#65a30d", "#0d9488", "#166534", "#84cc16"),
    "motorcycle": ("#c2410c", "#b91c1c", "#a21caf", "#ea580c", "#9f1239"),
}
OTHER_COLOURS = ("#1d4ed8",)

type Detail = Mapping[str, Any]


def draw(routes: Sequence[Detail], waiting: Sequence[Detail]) -> str:
    """The page, as HTML.

    Args:
        routes: details of `Orders Dispatched` events.
        waiting: orders that are on no route: order_id, latitude, longitude, reason.

    """
    configuration = json.loads(VEHICLES.read_text("utf-8"))
    depot = configuration["depot"]
    stops = [stop for route in routes for stop in route["stops"]]
    reach = max((distance(depot, stop) for stop in stops), default=1.0) * 1.05
    scale = (SIZE / 2 - MARGIN) / reach

    def at(place: Detail) -> tuple[float, float]:
        east, north = offset(depot, place)
        return round(SIZE / 2 + scale * east, 1), round(SIZE / 2 - scale * north, 1)

    marks = [ring(kilometres, scale) for kilometres in RINGS_KM if kilometres <= reach]
    rows = []
    for route, colour in zip(routes, colours(routes), strict=True):
        marks.append(
            route_line(route, colour, [at(place) for place in (depot, *route["stops"], depot)])
        )
    for route, colour in zip(routes, colours(routes), strict=True):
        marks += [
            stop_mark(number, stop, colour, at(stop))
            for number, stop in enumerate(route["stops"], start=1)
        ]
        rows.append(route_row(route, colour))
    for order in waiting:
        if distance(depot, order) <= reach:
            x, y = at(order)
            marks.append(
                f"<g><title>{escape(order['order_id'])}: {escape(order['reason'])}</title>"
                f'<rect x="{x - 6}" y="{y - 6}" width="12" height="12" class="waiting"/></g>'
            )
    middle = SIZE / 2
    marks.append(
        f'<g><title>depot</title><path class="depot" d="M{middle - 11} {middle + 9}v-11l11-10 '
        f'11 10v11z"/></g>'
    )
    bays = "".join(
        f"<li>loading bay {escape(vehicle['loading_bay'])}: {escape(label)}s</li>"
        for label, vehicle in configuration["vehicles"].items()
    )
    reasons = "".join(
        f"<tr><td>{escape(order['order_id'])}</td><td>{escape(order['reason'])}</td></tr>"
        for order in waiting
    )
    return PAGE.format(
        size=SIZE,
        marks="\n".join(marks),
        bays=bays,
        rows="\n".join(rows),
        reasons=reasons or '<tr><td colspan="2">none</td></tr>',
        key=LEGEND,
    )


def offset(depot: Detail, place: Detail) -> tuple[float, float]:
    """Kilometres east and north of the depot, as on a flat map."""
    degrees = (place["longitude"] - depot["longitude"] + 180) % 360 - 180
    east = degrees * KM_PER_DEGREE * math.cos(math.radians(depot["latitude"]))
    return east, (place["latitude"] - depot["latitude"]) * KM_PER_DEGREE


def distance(depot: Detail, place: Detail) -> float:
    """Kilometres from the depot, as the crow flies."""
    return math.hypot(*offset(depot, place))


def colours(routes: Iterable[Detail]) -> list[str]:
    """A colour for each route, of its vehicle's family."""
    seen: dict[str, int] = {}
    chosen = []
    for route in routes:
        family = COLOURS.get(route["vehicle"], OTHER_COLOURS)
        number = seen.get(route["vehicle"], 0)
        chosen.append(family[number % len(family)])
        seen[route["vehicle"]] = number + 1
    return chosen


def ring(kilometres: int, scale: float) -> str:
    """A circle around the depot with its radius beside it."""
    radius = round(scale * kilometres, 1)
    middle = SIZE / 2
    return (
        f'<circle cx="{middle}" cy="{middle}" r="{radius}" class="ring"/>'
        f'<text x="{middle + 3}" y="{middle - radius - 3}" class="far">{kilometres} km</text>'
    )


def route_line(route: Detail, colour: str, points: Sequence[tuple[float, float]]) -> str:
    """The way of a route, straight from stop to stop."""
    way = " ".join(f"{x},{y}" for x, y in points)
    dashes = ' stroke-dasharray="9 5"' if route["vehicle"] == "motorcycle" else ""
    title = f"{route['courier_id']}, {route['vehicle']}, {route['distance_km']:.1f} km"
    return (
        f"<g><title>{escape(title)}</title>"
        f'<polyline points="{way}" class="route" stroke="{colour}"{dashes}/></g>'
    )


def stop_mark(number: int, stop: Detail, colour: str, point: tuple[float, float]) -> str:
    """A numbered dot that says on hovering what it is."""
    x, y = point
    title = f"{stop['order_id']}, {clock(stop['arrives_at'])}, {stop['reason']}"
    return (
        f'<g><title>{escape(title)}</title><circle cx="{x}" cy="{y}" r="9" fill="{colour}"/>'
        f'<text x="{x}" y="{y + 4}" class="number">{number}</text></g>'
    )


def route_row(route: Detail, colour: str) -> str:
    """A route in the table beside the map."""
    stops = "".join(
        f"<li>{escape(stop['order_id'])} at {clock(stop['arrives_at'])}: "
        f"{escape(stop['reason'])}</li>"
        for stop in route["stops"]
    )
    return (
        f'<tr><td><span class="dot" style="background:{colour}"></span>'
        f"{escape(route['courier_id'])}<br>{escape(route['vehicle'])}, "
        f"bay {escape(route['loading_bay'])}</td>"
        f"<td>{clock(route['departs_at'])} to {clock(route['returns_at'])}, "
        f"{route['distance_km']:.1f} km<ol>{stops}</ol></td></tr>"
    )


def clock(time: str) -> str:
    """Hours and minutes of an ISO 8601 time, UTC."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%H:%M}"


LEGEND = """<svg width="300" height="64" role="img" aria-label="legend">
<line x1="4" y1="10" x2="44" y2="10" class="route" stroke="#15803d"/>
<text x="54" y="14">bicycle route</text>
<line x1="4" y1="32" x2="44" y2="32" class="route" stroke="#c2410c" stroke-dasharray="9 5"/>
<text x="54" y="36">motorcycle route</text>
<rect x="18" y="46" width="12" height="12" class="waiting"/>
<text x="54" y="57">order that waits</text>
</svg>"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Scones Unlimited: the dispatch</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; color: #1c1917; background: #fafaf9; margin: 24px;
  display: flex; flex-wrap: wrap; gap: 32px; }}
.map {{ background: #fff; border: 1px solid #d6d3d1; width: min(100%, {size}px); height: auto; }}
.ring {{ fill: none; stroke: #e7e5e4; }}
.far {{ fill: #78716c; font-size: 12px; }}
.route {{ fill: none; stroke-width: 3; stroke-linejoin: round; opacity: 0.85; }}
.number {{ fill: #fff; font-size: 11px; font-weight: 600; text-anchor: middle; }}
.depot {{ fill: #1c1917; }}
.waiting {{ fill: #fff; stroke: #57534e; stroke-width: 2; }}
.dot {{ display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 6px; }}
h1 {{ font-size: 20px; margin: 0 0 8px; }} h2 {{ font-size: 16px; margin: 20px 0 4px; }}
td {{ vertical-align: top; padding: 4px 14px 4px 0; }} ol, ul {{ margin: 0; padding-left: 20px; }}
</style></head><body>
<svg class="map" width="{size}" height="{size}" viewBox="0 0 {size} {size}" role="img"
 aria-label="map of the routes">
{marks}
</svg>
<div><h1>Who delivers what</h1>{key}<ul>{bays}</ul>
<h2>Routes (times in UTC)</h2><table>
{rows}
</table>
<h2>Orders on no route</h2><table>{reasons}</table></div>
</body></html>
"""
