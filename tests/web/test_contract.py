"""The fake API answers as docs/openapi.yaml says, so that the pages fit the real one."""

import json
import re
import urllib.request
from typing import Any
from urllib.parse import quote

from tests.support.web import assert_described, assert_fits, contract
from tests.web.busy_hour import fill
from tests.web.fake_api import Server
from tests.web.fake_shop import minutes

NEW_ORDER = {
    "latitude": 52.1, "longitude": 5.1, "boxes": 2, "ready_at": minutes(0), "due_from": minutes(0),
    "due_until": minutes(900),
}  # fmt: skip
CALLS: list[tuple[str, str, str, Any]] = [
    ("bram", "POST", "/api/courier/uploads", {"content_type": "image/jpeg", "size": 5}),
    ("bram", "GET", "/api/courier/photos/{photo_id}", None),
    ("bram", "GET", "/api/courier/shift", None),
    ("bram", "POST", "/api/courier/deliveries", {"order_id": "1010", "dispatch_id": "route-bram"}),
    ("bram", "POST", "/api/courier/off-shift", None),
    ("manager", "GET", "/api/console/now", None),
    ("manager", "GET", "/api/console/orders", None),
    ("manager", "POST", "/api/console/orders", NEW_ORDER),
    ("manager", "POST", "/api/console/orders", NEW_ORDER | {"due_until": "2026-11-24T09:00:00Z"}),
    ("manager", "POST", "/api/console/cancellations", {"order_id": "2001"}),
    ("manager", "POST", "/api/console/cancellations", {"order_id": "1020"}),
    ("manager", "POST", "/api/console/changes", {"order_id": "2002", "courier_id": "bram"}),
    ("manager", "POST", "/api/console/changes", {"order_id": "2002", "courier_id": None}),
    ("manager", "POST", "/api/console/changes", {"order_id": "1020", "held": True}),
    ("manager", "POST", "/api/console/off-shift", {"courier_id": "dirk"}),
    ("manager", "POST", "/api/console/off-shift", {"courier_id": "nobody"}),
    ("manager", "POST", "/api/console/leases", {"count": 2}),
    ("manager", "POST", "/api/console/reviews", {"image_id": "a#1", "label": "bicycle"}),
    ("manager", "GET", "/api/console/explanation", None),
    ("manager", "GET", "/api/console/quality", None),
    ("manager", "GET", "/api/console/people", None),
    ("manager", "POST", "/api/console/people", {"user_name": "nadia", "group": "couriers"}),
    ("manager", "POST", "/api/console/people/{user_name}/password", None),
    ("manager", "POST", "/api/console/people/{user_name}/blocked", {"blocked": True}),
]


def test_the_fake_api_follows_the_contract(server: Server) -> None:
    shop = server.shop
    shop.add_person("bram", "couriers")
    fill(shop)
    shop.uploads["photo-1"] = {"owner": "bram", "content": b"1", "checks": 0}
    shop.tokens = {name: name for name in ("bram", "manager")}
    names = {"photo_id": "photo-1", "user_name": "nadia"}
    for name, method, path, body in CALLS:
        filled = re.sub(r"{(\w+)}", lambda found: quote(names[found[1]]), path)
        request = urllib.request.Request(
            server.url + filled,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {name}"},
        )
        try:
            response = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            response = error
        kind = response.headers["Content-Type"]
        assert_described(method, filled, response.status, kind, response.read())
        if body is not None:
            asked = contract()["paths"][path][method.lower()]["requestBody"]["content"]
            assert_fits(asked["application/json"]["schema"], body)
    called = {path for _, _, path, _ in CALLS} | {"/api/console/preview"}
    assert {path for path in contract()["paths"] if path.startswith("/api/")} == called
