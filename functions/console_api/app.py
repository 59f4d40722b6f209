"""The API of the console: what goes on now, orders, reviews, quality, and people."""

import os
import uuid
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from functions.console_api import live, overruling, people, quality, reviews
from functions.dispatch_orders.statuses import OrderStatus
from functions.http_api.bus import publish
from functions.http_api.http import (
    MANAGERS,
    MAX_NAME_BYTES,
    REVIEWERS,
    ProblemError,
    User,
    dumps,
    now_text,
    reply,
    resolver,
    table_of_dispatch,
)

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
cognito = boto3.client("cognito-idp")
app = resolver()


def check_window(due_from: datetime, due_until: datetime) -> None:
    """Raise ValueError if the delivery window is not possible."""
    if due_until < due_from:
        raise ValueError("due_until is before due_from")
    if due_until <= datetime.now(UTC):
        raise ValueError("due_until is in the past")


class NewOrder(BaseModel):
    """An order for the dispatch, which checks range and capacity."""

    order_id: str | None = Field(default=None, min_length=1, max_length=128)
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    boxes: int = Field(ge=1)
    ready_at: AwareDatetime
    due_from: AwareDatetime
    due_until: AwareDatetime

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse a window that is not possible."""
        check_window(self.due_from, self.due_until)
        return self


class Cancellation(BaseModel):
    """The order to cancel."""

    order_id: str = Field(min_length=1, max_length=128)


class Change(BaseModel):
    """What changes about an order: the fields that are sent. `courier_id` null: any courier."""

    order_id: str = Field(min_length=1, max_length=128)
    due_from: AwareDatetime | None = None
    due_until: AwareDatetime | None = None
    courier_id: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_BYTES)
    held: bool = False

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse a change of nothing, and a window that cannot be."""
        sent = self.model_fields_set
        if sent == {"order_id"}:
            raise ValueError("send due_from and due_until, courier_id or held")
        if sent & {"due_from", "due_until"}:
            if self.due_from is None or self.due_until is None:
                raise ValueError("send due_from and due_until together")
            check_window(self.due_from, self.due_until)
        return self


class EndOfShift(BaseModel):
    """The courier whose shift ends now."""

    courier_id: str = Field(min_length=1, max_length=MAX_NAME_BYTES)


class LeaseRequest(BaseModel):
    """How many photos a reviewer takes."""

    count: int = Field(default=3, ge=1, le=10)


class Label(BaseModel):
    """What a photo shows."""

    image_id: str = Field(min_length=1, max_length=1100)
    label: str = Field(min_length=1, max_length=100)


class NewPerson(BaseModel):
    """A user to create."""

    user_name: str = Field(pattern=people.USER_NAME)
    group: Literal["couriers", "reviewers", "managers"]


class Blocking(BaseModel):
    """Whether an account is blocked."""

    blocked: bool


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Answer a request of a reviewer or a manager."""
    return reply(app, event, context, REVIEWERS, MANAGERS)


def user() -> User:
    """Who sends this request."""
    found: User = app.context["user"]
    return found


def users() -> people.Users:
    """The users of the pool."""
    return people.Users(cognito, os.environ["USER_POOL_ID"])


# ── Now and orders ──


@app.get("/api/console/now", compress=True)
def read_now() -> dict[str, Any]:
    """Couriers on shift, open orders, the newest photos, and counts."""
    return live.read_now()


@app.get("/api/console/orders", compress=True)
def list_orders(
    day: date | None = None,
    state: OrderStatus | None = None,
    courier_id: str | None = None,
    due_after: AwareDatetime | None = None,
    due_before: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
    order_id: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
) -> dict[str, Any]:
    """A page of the open orders, or of the orders of one day, or one order in any state."""
    if order_id is not None:
        return live.list_order(order_id)
    return live.list_orders(day, state, courier_id, due_after, due_before, limit, cursor)


@app.post("/api/console/orders")
def place_order(order: NewOrder) -> Response[str]:
    """Publish an order."""
    table_of_dispatch("ORDERS_TABLE_NAME")
    detail = order.model_dump(mode="json") | {"placed_by": user().name}
    detail["order_id"] = order.order_id or str(uuid.uuid4())
    publish("Order Placed", detail)
    return respond(HTTPStatus.ACCEPTED, {"order_id": detail["order_id"]})


@app.post("/api/console/cancellations")
def cancel_order(cancellation: Cancellation) -> Response[str]:
    """Publish that an order is cancelled, if no courier has left with it."""
    overruling.check_not_left(cancellation.order_id)
    publish(
        "Order Cancelled",
        {
            "order_id": cancellation.order_id,
            "cancelled_by": user().name,
            "cancelled_at": now_text(),
        },
    )
    return respond(HTTPStatus.ACCEPTED, {})


@app.post("/api/console/changes")
def change_order(change: Change) -> Response[str]:
    """Publish that a person overrules the planner, if no courier has left with the order."""
    overruling.check_not_left(change.order_id)
    detail = change.model_dump(mode="json", exclude_unset=True)
    publish("Order Changed", detail | {"changed_by": user().name, "changed_at": now_text()})
    return respond(HTTPStatus.ACCEPTED, {})


@app.post("/api/console/off-shift")
def end_shift(end: EndOfShift) -> Response[str]:
    """Publish that a courier's shift ends now, if the courier is on shift."""
    if not overruling.is_courier_on_shift(end.courier_id):
        raise ProblemError(HTTPStatus.CONFLICT, f"Courier {end.courier_id} is not on shift.")
    publish_end_of_shift(end.courier_id)
    return respond(HTTPStatus.ACCEPTED, {})


def publish_end_of_shift(courier_id: str) -> None:
    """Publish that the user of the request ends a courier's shift now."""
    detail = {"courier_id": courier_id, "off_shift_at": now_text(), "ended_by": user().name}
    publish("Courier Off Shift", detail)


# ── Reviews ──


@app.post("/api/console/leases")
def lease_photos(request: LeaseRequest) -> dict[str, Any]:
    """Give the user photos that nobody else gets for a while."""
    return {"items": reviews.lease(user().name, request.count)}


@app.post("/api/console/reviews")
def review_photo(review: Label) -> Response[str]:
    """Publish what a photo shows."""
    if review.label not in os.environ["LABELS"].split(","):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"label must be one of {os.environ['LABELS']}"
        )
    if not reviews.exists(review.image_id):
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such photo.")
    detail = review.model_dump() | {"reviewed_by": user().name, "reviewed_at": now_text()}
    publish("Photo Reviewed", detail)
    return respond(HTTPStatus.ACCEPTED, {})


# ── Quality ──


@app.get("/api/console/quality")
def read_quality(hours: Annotated[int, Query(ge=1, le=168)] = 24) -> dict[str, Any]:
    """The newest drift reports, the last days by model, the deliveries of these hours, and more."""
    return {
        "days": quality.read_days(),
        "hours": quality.read_reports(hours),
        "deliveries": quality.read_deliveries(hours),
        "retrainings": quality.read_retrainings(),
        "alarms": quality.read_alarms(),
    }


# ── People ──


@app.get("/api/console/people")
def list_people(
    limit: Annotated[int, Query(ge=1, le=60)] = 60, cursor: str | None = None
) -> dict[str, Any]:
    """A page of the users."""
    user().require(MANAGERS)
    return users().page(limit, cursor)


@app.post("/api/console/people")
def create_person(person: NewPerson) -> Response[str]:
    """Create a user; the temporary password is shown once."""
    user().require(MANAGERS)
    password = users().create(person.user_name, person.group)
    body = {"user_name": person.user_name, "temporary_password": password}
    return respond(HTTPStatus.CREATED, body)


@app.post("/api/console/people/<user_name>/password")
def reset_password(user_name: str) -> dict[str, Any]:
    """Give a user a new temporary password."""
    user().require(MANAGERS)
    return {"user_name": user_name, "temporary_password": users().reset_password(user_name)}


@app.post("/api/console/people/<user_name>/blocked")
def block_person(user_name: str, blocking: Blocking) -> Response[str]:
    """Block an account and end its sessions and its shift, or unblock it."""
    user().require(MANAGERS)
    if user_name == user().name:
        raise ProblemError(HTTPStatus.CONFLICT, "You cannot block yourself.")
    users().block(user_name, blocked=blocking.blocked)
    has_dispatch = bool(os.environ["COURIERS_TABLE_NAME"])
    if blocking.blocked and has_dispatch and overruling.is_courier_on_shift(user_name):
        publish_end_of_shift(user_name)
    return Response(HTTPStatus.NO_CONTENT.value, "application/json", "")


def respond(status: HTTPStatus, body: Any) -> Response[str]:
    """A JSON response."""
    return Response(status.value, "application/json", dumps(body))
