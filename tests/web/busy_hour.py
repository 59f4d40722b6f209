"""A busy hour of the shop, the same each time."""

import math
import random
from datetime import UTC, datetime, timedelta

from tests.web.fake_shop import LABELS, Shop, iso, minutes


def fill(shop: Shop) -> None:
    """A busy hour, the same each time."""
    chance = random.Random(7)
    add_routes(shop, chance)
    add_waiting_orders(shop, chance)
    add_photos(shop)
    add_alarms(shop)
    add_quality(shop)


def add_routes(shop: Shop, chance: random.Random) -> None:
    """Four couriers on their routes and one who is free."""
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


def add_waiting_orders(shop: Shop, chance: random.Random) -> None:
    """Nine waiting orders, every fourth one late, and a refused order."""
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


def add_photos(shop: Shop) -> None:
    """Six photos to review and the seven latest."""
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


def add_alarms(shop: Shop) -> None:
    """Two alarms, of which one is in ALARM."""
    shop.alarms = [
        {"name": "ReviewRateAlarm", "state": "ALARM", "since": minutes(-45),
         "description": "A larger share than usual is below the threshold. Look at the photos in "
                        "Review: a new kind of photo or a camera fault is the usual cause."},
        {"name": "AccuracyAlarm", "state": "OK", "since": minutes(-6000),
         "description": "Accuracy is below the minimum. Label more photos, then retrain."},
    ]  # fmt: skip


def add_quality(shop: Shop) -> None:
    """Deliveries, retrainings, a week of days and a day of hours."""
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
