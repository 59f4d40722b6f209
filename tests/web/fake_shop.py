"""The service of docs/openapi.yaml in memory: what it knows, and its operations."""

import re
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

DEPOT = {"latitude": 52.0907, "longitude": 5.1214}
LABELS = ["bicycle", "motorcycle", "other"]
OPEN = ("new", "waiting", "assigned")


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
