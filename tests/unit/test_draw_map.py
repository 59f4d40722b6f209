"""The map of a dispatch: it has all routes and orders, and needs no other file."""

import re
from xml.etree import ElementTree as ET

from local.draw_map import draw

STOP = {
    "order_id": "order-1",
    "latitude": 52.1,
    "longitude": 5.13,
    "arrives_at": "2026-05-04T12:10:00+00:00",
    "reason": "assigned: bicycle within 1.4 km",
}
ROUTE = {
    "courier_id": "<b>courier</b>",
    "vehicle": "bicycle",
    "loading_bay": "A",
    "departs_at": "2026-05-04T14:00:00+02:00",
    "returns_at": "2026-05-04T12:20:00+00:00",
    "distance_km": 2.8,
    "stops": [STOP],
}
FAR = ROUTE | {
    "vehicle": "motorcycle",
    "stops": [STOP | {"order_id": "order-2", "latitude": 52.2}, STOP | {"order_id": "order-3"}],
}
WAITING = {
    "order_id": "order-4",
    "latitude": 52.08,
    "longitude": 5.1,
    "reason": "waiting: being prepared until 12:42 UTC",
}
SVG = "{http://www.w3.org/2000/svg}"


def photo(page: str) -> ET.Element:
    """The map alone, which is XML."""
    found = re.search(r'<svg class="map".*?</svg>', page, re.DOTALL)
    assert found
    return ET.fromstring(found[0])


def test_each_route_and_each_order_is_on_the_map() -> None:
    page = draw([ROUTE, FAR], [WAITING])
    svg = photo(page)
    bicycle, motorcycle = svg.findall(".//polyline")
    assert len(bicycle.attrib["points"].split()) == 3
    assert len(motorcycle.attrib["points"].split()) == 4
    assert "stroke-dasharray" not in bicycle.attrib
    assert "stroke-dasharray" in motorcycle.attrib
    assert bicycle.attrib["stroke"] != motorcycle.attrib["stroke"]
    titles = [title.text for title in svg.findall(".//title")]
    assert "order-1, 12:10, assigned: bicycle within 1.4 km" in titles
    assert "order-4: waiting: being prepared until 12:42 UTC" in titles
    assert "12:00 to 12:20, 2.8 km" in page


def test_everything_drawn_is_inside_the_map() -> None:
    svg = photo(draw([ROUTE, FAR], [WAITING, WAITING | {"latitude": 60, "order_id": "far"}]))
    width = float(svg.attrib["width"])
    points = [
        float(number)
        for line in svg.findall(".//polyline")
        for pair in line.attrib["points"].split()
        for number in pair.split(",")
    ]
    points += [float(square.attrib["x"]) for square in svg.findall(".//rect")]
    assert all(0 <= point <= width for point in points)
    assert len(svg.findall(".//rect")) == 1


def test_the_page_needs_no_network_and_takes_names_as_text() -> None:
    page = draw([ROUTE], [])
    assert not re.search(r"https?:|src=|@import|<script", page)
    assert "<b>courier" not in page
    assert "&lt;b&gt;courier" in page


def test_without_routes_there_is_still_a_map() -> None:
    assert "depot" in [title.text for title in photo(draw([], [])).findall(".//title")]
