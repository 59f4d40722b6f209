"""The API of docs/openapi.yaml in memory, the sign-in and the upload of photos, on one port.

For the tests in the browser, and to work on web/ without a cloud:

    python -m tests.web.fake_api        # any user name signs in; manager is a manager
"""

import argparse
import base64
import email
import hashlib
import html
import json
import math
import random
import re
import secrets
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

PROJECT = Path(__file__).parents[2]
WEB = PROJECT / "web"
PHOTOS = [  # a preview is never broken
    path
    for path in sorted((PROJECT / "local" / "photos").glob("*-*.jpg"))
    if not path.name.startswith("broken-")
]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
DEPOT = {"latitude": 52.0907, "longitude": 5.1214}
LABELS = ["bicycle", "motorcycle", "other"]
OPEN = ("new", "waiting", "assigned")
CLIENT_ID = "web"


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def minutes(count: float) -> str:
    """The time so many minutes from now."""
    return iso(datetime.now(UTC) + timedelta(minutes=count))


class RefusedError(Exception):
    def __init__(self, status: int, detail: str, errors: list[dict[str, str]] | None = None):
        self.status = status
        self.body = {"type": "about:blank", "title": "Problem", "status": status, "detail": detail}
        if errors:
            self.body["errors"] = errors


class Shop:
    """What the service knows. Tests read and change it directly."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.shifts: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}  # photo id: owner, content, checks
        self.use_case = {"use_case": "vehicles", "dispatch": True, "labels": LABELS}
        self.outcome = ("accepted", "bicycle", "bicycle, 97% confidence")
        self.orders: dict[str, dict[str, Any]] = {}
        self.day_of: dict[str, str] = {}
        self.to_review: list[dict[str, Any]] = []
        self.leased: dict[str, str] = {}
        self.reviews: list[dict[str, str]] = []
        self.latest: list[dict[str, Any]] = []
        self.activation: list[list[float]] | None = [[-1, -1, -1], [-1, -1, 2]]  # of a photo
        self.alarms: list[dict[str, str]] = []
        self.lateness: dict[str, Any] = {"delivered": 0, "late": 0, "median_minutes_late": None}
        self.retrainings: list[dict[str, str]] = []
        self.days: list[dict[str, Any]] = []
        self.hours: list[dict[str, Any]] = []
        self.off_shift: list[str] = []
        self.changes: list[dict[str, Any]] = []
        self.refusal = ""  # why the dispatch refuses new orders
        self.map_tiles = ""
        self.deliveries: list[dict[str, str]] = []
        self.tokens: dict[str, str] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.refused: dict[str, int] = {}  # a path in /api or in /: the status it gets
        self.answers: list[tuple[str, int]] = []
        for name, group in (("anna", "couriers"), ("rita", "reviewers"), ("manager", "managers")):
            self.add_person(name, group)

    def add_person(self, name: str, group: str) -> None:
        self.people[name] = {
            "user_name": name, "groups": [group], "blocked": False, "state": "CONFIRMED"
        }  # fmt: skip

    def expire_tokens(self) -> None:
        self.tokens = {token: name for token, name in self.tokens.items() if token[0] == "r"}

    def start_shift(self, name: str, vehicle: str) -> None:
        self.shifts[name] = {
            "courier_id": name, "state": "free", "vehicle": vehicle,
            "shift_ends_at": minutes(300), "route": None,
        }  # fmt: skip

    def add_order(self, order_id: str, north: float, east: float, **fields: Any) -> dict[str, Any]:
        """An order `north` and `east` km from the depot."""
        order = {
            "order_id": order_id, "state": "waiting", "reason": "waits for a courier",
            "late": False, "latitude": round(DEPOT["latitude"] + north / 111.2, 5),
            "longitude": round(DEPOT["longitude"] + east / 68.4, 5), "boxes": 2,
            "ready_at": minutes(-10), "due_from": minutes(0), "due_until": minutes(50),
            "courier_id": None, "vehicle": None, "arrives_at": None, "delivered_at": None,
            "pinned_to": None, "held_by": None,
        } | fields  # fmt: skip
        self.orders[order_id] = order
        self.day_of[order_id] = iso(datetime.now(UTC))[:10]  # whatever the hour of the test
        return order

    def dispatch(self, name: str, order_ids: list[str], left: float = -1) -> None:
        """Gives the courier a route. `left`: minutes since the departure."""
        shift = self.shifts[name]
        shift["state"] = "on_route"
        stops = []
        for number, order_id in enumerate(order_ids, start=1):
            order = self.orders[order_id]
            order |= {
                "state": "assigned", "courier_id": name, "vehicle": shift["vehicle"],
                "arrives_at": minutes(9 * number - left), "reason": f"{name} brings it",
            }  # fmt: skip
            fields = ("order_id", "latitude", "longitude", "boxes", "arrives_at", "due_until")
            stops.append({key: order[key] for key in (*fields, "delivered_at")})
        shift["route"] = {
            "dispatch_id": f"route-{name}", "loading_bay": "A", "departs_at": minutes(-left),
            "returns_at": minutes(9 * len(stops) + 12 - left), "distance_km": 7.4, "stops": stops,
        }  # fmt: skip

    def add_photo_to_review(self, number: int, why: str = "below_threshold") -> str:
        image_id = f"uploads/anna/photo-{number}.jpg#{number}"
        self.to_review.append({
            "image_id": image_id, "courier_id": "anna", "recorded_at": minutes(-number),
            "label": "bicycle", "confidence": 0.81,
            "inferences": {"bicycle": 0.81, "motorcycle": 0.12, "other": 0.07},
            "why": why, "leased_until": minutes(5),
        })  # fmt: skip
        return image_id

    # ── The operations of the API, by method and path ──

    def create_upload(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        photo_id = secrets.token_hex(8)
        self.uploads[photo_id] = {"owner": name, "content": None, "checks": 0, **body}
        fields = {"key": f"uploads/{name}/{photo_id}", "Content-Type": body["content_type"]}
        return 201, {
            "photo_id": photo_id, "url": "upload", "fields": fields, "expires_at": minutes(10)
        }  # fmt: skip

    def read_photo(self, name: str, photo_id: str) -> tuple[int, Any]:
        photo = self.uploads.get(photo_id)
        if photo is None or photo["owner"] != name:
            raise RefusedError(404, "You have no such photo.")
        answer = {"photo_id": photo_id, "label": None, "reason": "", "shift_ends_at": None}
        if photo["content"] is None:
            return 200, answer | {"state": "not_uploaded"}
        photo["checks"] += 1
        if photo["checks"] == 1:
            return 200, answer | {"state": "classifying"}
        state, label, reason = self.outcome
        if state == "accepted" and self.use_case["dispatch"]:
            if name not in self.shifts:
                self.start_shift(name, label)
            answer["shift_ends_at"] = self.shifts[name]["shift_ends_at"]
        return 200, answer | {"state": state, "label": label, "reason": reason}

    def read_shift(self, name: str) -> tuple[int, Any]:
        nothing = {"state": "off", "vehicle": None, "shift_ends_at": None, "route": None}
        return 200, self.shifts.get(name, {"courier_id": name, **nothing})

    def deliver(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        route = self.shifts.get(name, {}).get("route")
        stops = [s for s in (route or {"stops": []})["stops"] if s["order_id"] == body["order_id"]]
        if not stops:
            raise RefusedError(404, "This order is not on your route any more.")
        stops[0]["delivered_at"] = body.get("delivered_at", minutes(0))
        order = self.orders[body["order_id"]]
        order |= {"state": "delivered", "delivered_at": stops[0]["delivered_at"]}
        self.deliveries.append(body)
        return 202, None

    def end_shift(self, name: str, body: None) -> tuple[int, Any]:
        self.shifts.pop(name, None)
        self.off_shift.append(name)
        return 202, None

    def read_now(self, name: str, query: dict[str, str]) -> tuple[int, Any]:
        couriers = []
        for shift in self.shifts.values():
            route = shift["route"] or {"departs_at": None, "returns_at": None}
            keys = ("courier_id", "vehicle", "state", "shift_ends_at")
            times = {key: route[key] for key in ("departs_at", "returns_at")}
            photo = {"image_id": f"uploads/{shift['courier_id']}/1.jpg#1"}
            couriers.append({key: shift[key] for key in keys} | times | photo)
        open_orders = [
            order for order in self.orders.values()
            if order["state"] in OPEN
        ]  # fmt: skip
        counts = {
            "couriers_on_shift": len(couriers),
            "orders_waiting": sum(order["state"] != "assigned" for order in open_orders),
            "orders_late": sum(order["late"] for order in open_orders),
            "photos_to_review": len(self.to_review),
            "alarms": sum(alarm["state"] == "ALARM" for alarm in self.alarms),
        }
        return 200, {
            "at": iso(datetime.now(UTC).replace(second=0)), "depot": DEPOT, "counts": counts,
            "couriers": couriers, "orders": open_orders, "photos": self.latest,
        }  # fmt: skip

    def read_orders(self, name: str, query: dict[str, str]) -> tuple[int, Any]:
        if "order_id" in query:
            known = [self.orders[key] for key in self.orders if key == query["order_id"]]
            return 200, {"items": known, "next": None}
        day = query.get("day")
        after, before = query.get("due_after", ""), query.get("due_before", "9999")
        found = [
            order for order_id, order in self.orders.items()
            if (order["state"] in OPEN if day is None else self.day_of.get(order_id, day) == day)
            and query.get("state", order["state"]) == order["state"]
            and query.get("courier_id", order["courier_id"]) == order["courier_id"]
            and after <= (order["due_until"] or "") <= before
        ]  # fmt: skip
        start, limit = int(query.get("cursor", 0)), int(query.get("limit", 50))
        following = str(start + limit) if start + limit < len(found) else None
        return 200, {"items": found[start : start + limit], "next": following}

    def place_order(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        due_from, due_until = (datetime.fromisoformat(body[k]) for k in ("due_from", "due_until"))
        if due_until < due_from or due_until <= datetime.now(UTC):
            wrong = "before due_from" if due_until < due_from else "in the past"
            error = {"field": "body", "detail": f"due_until is {wrong}"}
            raise RefusedError(422, f"body: {error['detail']}", [error])
        order_id = body.setdefault("order_id", str(uuid.uuid4()))
        if order_id not in self.orders or self.orders[order_id]["state"] == "refused":
            refused = {"state": "refused", "reason": f"refused: {self.refusal}"}
            self.add_order(north=0, east=0, **body, **(refused if self.refusal else {}))
        return 202, {"order_id": order_id}

    def cancel_order(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        order = self.orders[body["order_id"]]
        self.check_not_left(order)
        order |= {"state": "cancelled", "courier_id": None, "reason": f"cancelled by {name}"}
        return 202, None

    def check_not_left(self, order: dict[str, Any]) -> None:
        if order["state"] == "assigned":
            shift = self.shifts[order["courier_id"]]
            if shift["route"]["departs_at"] <= minutes(0):
                raise RefusedError(409, f"Courier {order['courier_id']} has left with the order.")

    def change_order(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        order = self.orders[body["order_id"]]
        self.check_not_left(order)
        if order["state"] == "assigned":
            order |= {"state": "waiting", "courier_id": None, "reason": f"{name} changed the route"}
        order |= {name: body[name] for name in ("due_from", "due_until") if name in body}
        if "courier_id" in body:
            order["pinned_to"] = body["courier_id"]
            order["reason"] = f"waits; pinned to courier {body['courier_id']} by {name}"
        if "held" in body:
            order["held_by"] = name if body["held"] else None
            order["reason"] = f"held back by {name}" if body["held"] else "to be planned"
        self.changes.append({**body, "changed_by": name})
        return 202, None

    def end_shift_of(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        if body["courier_id"] not in self.shifts:
            raise RefusedError(409, "The courier is not on shift.")
        return self.end_shift(body["courier_id"], None)

    def lease(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        free = [photo for photo in self.to_review if photo["image_id"] not in self.leased]
        taken = free[: body.get("count", 3)]
        self.leased |= {photo["image_id"]: name for photo in taken}
        return 200, {"items": taken}

    def review(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.reviews.append({**body, "reviewed_by": name})
        self.to_review = [p for p in self.to_review if p["image_id"] != body["image_id"]]
        return 202, None

    def explain(self, name: str, query: dict[str, str]) -> tuple[int, Any]:
        if self.activation is None:
            raise RefusedError(422, "This model cannot explain its labels.")
        return 200, {"label": "bicycle", "activation": self.activation}

    def read_quality(self, name: str, query: dict[str, str]) -> tuple[int, Any]:
        return 200, {
            "days": self.days, "hours": self.hours[: int(query.get("hours", 24))],
            "alarms": self.alarms, "deliveries": self.lateness, "retrainings": self.retrainings,
        }  # fmt: skip

    def read_people(self, name: str, query: dict[str, str]) -> tuple[int, Any]:
        return 200, {"items": sorted(self.people.values(), key=str), "next": None}

    def create_person(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        if body["user_name"] in self.people:
            raise RefusedError(409, f"There is a user {body['user_name']} already.")
        self.add_person(body["user_name"], body["group"])
        self.people[body["user_name"]]["state"] = "FORCE_CHANGE_PASSWORD"
        return 201, {"user_name": body["user_name"], "temporary_password": secrets.token_hex(6)}

    def reset_password(self, name: str, user_name: str) -> tuple[int, Any]:
        self.people[user_name]["state"] = "FORCE_CHANGE_PASSWORD"
        return 200, {"user_name": user_name, "temporary_password": secrets.token_hex(6)}

    def block(self, name: str, user_name: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.people[user_name]["blocked"] = body["blocked"]
        return 204, None

    def find(self, method: str, path: str) -> tuple[str, Callable[..., tuple[int, Any]], list[str]]:
        """The group that may call, the operation and the parts of the path that it gets."""
        operations = {
            "POST courier/uploads": self.create_upload,
            "GET courier/photos/([^/]+)": self.read_photo,
            "GET courier/shift": self.read_shift,
            "POST courier/deliveries": self.deliver,
            "POST courier/off-shift": self.end_shift,
            "GET console/now": self.read_now,
            "GET console/orders": self.read_orders,
            "POST console/orders": self.place_order,
            "POST console/cancellations": self.cancel_order,
            "POST console/changes": self.change_order,
            "POST console/off-shift": self.end_shift_of,
            "POST console/leases": self.lease,
            "POST console/reviews": self.review,
            "GET console/explanation": self.explain,
            "GET console/quality": self.read_quality,
            "GET console/people": self.read_people,
            "POST console/people": self.create_person,
            "POST console/people/([^/]+)/password": self.reset_password,
            "POST console/people/([^/]+)/blocked": self.block,
        }
        for pattern, operation in operations.items():
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return path, operation, [unquote(part) for part in found.groups()]
        raise RefusedError(404, "There is no such page.")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def log_message(self, *_: object) -> None:
        pass

    @property
    def shop(self) -> Shop:
        return self.server.shop

    def do_GET(self) -> None:
        self.handle_request("GET")

    def do_POST(self) -> None:
        self.handle_request("POST")

    def handle_request(self, method: str) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if url.path.startswith("/sign-in/"):
                self.sign_in(method, url.path.removeprefix("/sign-in"), query, body)
            elif url.path == "/upload":
                self.store(body)
            elif url.path.startswith("/api/"):
                self.call(method, url.path.removeprefix("/api/"), query, body)
            elif url.path == "/config.json":
                self.send(200, {
                    "region": "eu-west-1", "client_id": CLIENT_ID, **self.server.shop.use_case,
                    "sign_in_url": f"{self.server.url}/sign-in", "max_photo_bytes": 20_000_000,
                    "map_tiles": self.shop.map_tiles,
                })  # fmt: skip
            else:
                self.send_file(url.path)
        except RefusedError as problem:
            self.send(problem.status, problem.body, "application/problem+json")

    def send(self, status: int, body: Any, kind: str = "application/json", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        content = b"" if body is None or status in (204, 304) else content
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def send_with_etag(self, status: int, body: Any, kind: str = "application/json") -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            self.shop.answers.append((self.path, 304))
            self.send(304, None, ETag=etag)
        else:
            self.shop.answers.append((self.path, status))
            self.send(status, content, kind, ETag=etag)

    def send_file(self, path: str) -> None:
        pages = {"/": "index.html", "/console": "console.html"}
        file = (WEB / pages.get(path, path.removeprefix("/"))).resolve()
        if not (path in pages or WEB / "assets" in file.parents) or not file.is_file():
            raise RefusedError(404, "There is no such page.")
        if status := self.shop.refused.get(path.removeprefix("/")):
            raise RefusedError(status, "This file cannot be loaded now.")
        content = file.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {
            "ETag": etag,
            "Cache_Control": "no-cache",
            "Content_Security_Policy": CONTENT_SECURITY_POLICY,
            "Service_Worker_Allowed": "/",
        }
        kind = TYPES.get(file.suffix, "application/octet-stream")
        if self.headers.get("If-None-Match") == etag:
            self.send(304, None, kind, **headers)
        else:
            self.send(200, content, kind, **headers)

    # ── Sign-in as Cognito does it ──

    def sign_in(self, method: str, path: str, query: dict[str, str], body: bytes) -> None:
        if path == "/logout":
            gone = "user=; Path=/sign-in; Max-Age=0"
            self.send(302, None, Location=query["logout_uri"], Set_Cookie=gone)
        elif path == "/oauth2/token":
            self.send_tokens({name: values[0] for name, values in parse_qs(body.decode()).items()})
        elif method == "POST":
            self.redirect_with_code(query, parse_qs(body.decode())["user_name"][0])
        elif user := SimpleCookie(self.headers.get("Cookie", "")).get("user"):
            self.redirect_with_code(query, user.value)
        else:
            form = (
                '<!doctype html><html lang="en"><title>Sign in</title><form method="post">'
                '<label>User name <input name="user_name"></label><button>Sign in</button></form>'
            )
            self.send(200, form.encode(), "text/html; charset=utf-8")

    def redirect_with_code(self, query: dict[str, str], name: str) -> None:
        if name not in self.shop.people:
            self.shop.add_person(name, "couriers")
        code = secrets.token_urlsafe()
        self.shop.codes[code] = {"name": name, **query}
        target = query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})
        cookie = f"user={html.escape(name)}; Path=/sign-in; HttpOnly"
        self.send(302, None, Location=target, Set_Cookie=cookie)

    def send_tokens(self, form: dict[str, str]) -> None:
        if form["grant_type"] == "refresh_token":
            name = self.shop.tokens.get(form["refresh_token"])
        else:
            asked = self.shop.codes.pop(form["code"], {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            good = challenge == asked.get("code_challenge")
            good &= form["redirect_uri"] == asked.get("redirect_uri")
            name = asked.get("name") if good else None
        if name is None:
            self.send(400, {"error": "invalid_grant"})
            return
        claims = {"username": name, "cognito:groups": self.shop.people[name]["groups"]}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        access, refresh = f"a.{payload}.{secrets.token_hex(4)}", f"r{secrets.token_hex(8)}"
        self.shop.tokens |= {access: name, refresh: name}
        self.send(200, {"access_token": access, "refresh_token": refresh, "expires_in": 3600})

    # ── Photos and API ──

    def store(self, body: bytes) -> None:
        if status := self.shop.refused.get("upload"):
            self.send(status, b"<Error/>", "application/xml")
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in email.message_from_bytes(head + body).get_payload()  # type: ignore[union-attr]
        }
        photo_id = parts["key"].decode().rsplit("/", 1)[1]
        self.shop.uploads[photo_id]["content"] = parts["file"]
        self.send(204, None)

    def call(self, method: str, path: str, query: dict[str, str], body: bytes) -> None:
        name = self.shop.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if name is None:
            self.send(401, {"message": "Unauthorized"})
            return
        if status := self.shop.refused.get(path):
            raise RefusedError(status, "The service has a fault. Try again in a minute.")
        groups = self.shop.people[name]["groups"]
        allowed = {"courier": ["couriers"], "console": ["reviewers", "managers"]}
        wanted = ["managers"] if "console/people" in path else allowed[path.split("/", 1)[0]]
        if not set(wanted) & set(groups):
            raise RefusedError(403, "Your account may not do this. Ask a manager.")
        if path == "console/preview":
            number = int(re.sub(r"\D", "", query["image_id"]) or 0)
            photo = PHOTOS[number % len(PHOTOS)].read_bytes()
            self.send(200, photo, "image/jpeg", Cache_Control="private, max-age=300")
            return
        _, operation, parts = self.shop.find(method, path)
        arguments: list[Any] = list(parts)
        if method == "POST" and operation != self.shop.reset_password:
            arguments.append(json.loads(body) if body else None)
        elif not parts and "console/" in path:
            arguments.append(query)
        status, answer = operation(name, *arguments)
        if method == "GET":
            self.send_with_etag(status, answer)
        else:
            self.shop.answers.append((self.path, status))
            self.send(status, answer)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.shop = Shop()
        self.url = f"http://localhost:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def fill(shop: Shop) -> None:
    """A busy hour, the same each time."""
    chance = random.Random(7)
    for number, name in enumerate(("bram", "chloé", "dirk", "emre", "fatima"), start=1):
        vehicle = "motorcycle" if number % 3 == 0 else "bicycle"
        shop.start_shift(name, vehicle)
        reach = (3, 11) if vehicle == "motorcycle" else (0.8, 3)
        direction = number * 1.25
        ids = []
        for stop in range(3 if number < 5 else 0):
            turned, far = direction + 0.25 * stop, chance.uniform(*reach)
            ids.append(f"10{number}{stop}")
            shop.add_order(ids[-1], far * math.sin(turned), far * math.cos(turned))
        if ids:
            shop.dispatch(name, ids, left=6 * number)
    for number in range(9):
        turned, far = chance.uniform(0, 6.3), chance.uniform(0.5, 9)
        late = number % 4 == 0
        reason = "18 minutes late: leaves with the next courier" if late else "waits for a courier"
        window = {"due_until": minutes(-5)} if late else {}
        shop.add_order(
            f"200{number}", far * math.sin(turned), far * math.cos(turned),
            late=late, reason=reason, boxes=chance.randint(1, 4), **window,
        )  # fmt: skip
    shop.orders["1000"] = {
        "order_id": "1000", "state": "refused", "late": False,
        "reason": "no vehicle carries 40 boxes: make two orders of it",
    } | dict.fromkeys(("latitude", "longitude", "boxes", "ready_at", "due_from", "due_until",
                       "courier_id", "vehicle", "arrives_at", "delivered_at", "pinned_to",
                       "held_by"))  # fmt: skip
    for number in range(6):
        shop.add_photo_to_review(number)
    states = ["accepted", "review", "accepted", "rejected", "accepted", "review", "accepted"]
    for number, state in enumerate(states):
        shop.latest.append({
            "image_id": f"uploads/bram/{number}.jpg#1", "courier_id": ("bram", "emre")[number % 2],
            "state": state, "label": None if state == "rejected" else LABELS[number % 2],
            "model_label": None if state == "rejected" else LABELS[number % 2],
            "confidence": None if state == "rejected" else 0.97 - 0.05 * number,
            "recorded_at": minutes(-4 * number - 1),
        })  # fmt: skip
    shop.alarms = [
        {"name": "ReviewRateAlarm", "state": "ALARM", "since": minutes(-45),
         "description": "A larger share than usual is below the threshold. Look at the photos in "
                        "Review: a new kind of photo or a camera fault is the usual cause."},
        {"name": "AccuracyAlarm", "state": "OK", "since": minutes(-6000),
         "description": "Accuracy is below the minimum. Label more photos, then retrain."},
    ]  # fmt: skip
    shop.lateness = {"delivered": 160, "late": 8, "median_minutes_late": 6.5}
    shop.retrainings = [
        {"ended_at": minutes(-3000), "outcome": "rejected: 12 photos better, 15 worse"},
        {"ended_at": minutes(-9000), "outcome": "serves: 2026.11.14-0330"},
    ]
    for number, (ago, model) in enumerate([(0, 3), (1, 3), (1, 2), *((n, 2) for n in range(2, 7))]):
        measured = 0.95 - 0.004 * number if number else None
        shop.days.append({
            "day": iso(datetime.now(UTC) - timedelta(days=ago))[:10], "model": f"vehicles/{model}",
            "predictions": 40 + 90 * number, "reviewed": 5 + 20 * number,
            "measured_accuracy": measured, "measured_accuracy_low": measured and measured - 0.06,
            "measured_accuracy_high": measured and measured + 0.025,
            "estimated_accuracy": 0.948 - 0.001 * number, "review_rate": 0.18 + 0.01 * number,
            "novelty": 0.21, "drift": 0.05 if number else None,
        })  # fmt: skip
    for hour in range(24):
        moment = datetime.now(UTC) - timedelta(hours=hour + 1)
        measured = None if hour > 20 else round(0.965 - 0.0006 * (24 - hour), 3)
        shop.hours.append({"hour": moment.strftime("%Y-%m-%dT%H"), "report": {
            "model": "vehicles/3", "hour": moment.strftime("%Y-%m-%dT%H"), "hours": 12,
            "predictions": 540 - 3 * hour, "reviewed": 210,
            "estimated_accuracy": round(0.951 - 0.0005 * hour, 3), "novelty": 0.21,
            "measured_accuracy": measured,
            "measured_accuracy_low": measured and measured - 0.03,
            "measured_accuracy_high": measured and measured + 0.018,
            "review_rate": round(0.19 + 0.05 * math.sin(hour / 3), 3), "rejection_rate": 0.02,
            "label_drift": 0.03, "confidence_drift": round(0.06 + 0.04 * math.cos(hour / 4), 3),
            "drift": round(0.06 + 0.04 * math.cos(hour / 4), 3), "accuracy_drop": 0.1,
            "accuracy_drop_seen_in": "confidence",
        }, "label_shares": []})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8088, help="of the server (8088)")
    server = Server(parser.parse_args().port)
    fill(server.shop)
    print(f"courier  {server.url}/\nconsole  {server.url}/console   (sign in as manager)")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
