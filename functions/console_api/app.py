"""The API of the console: couriers and orders now, all orders, reviews, quality, and people."""

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Self, TypedDict

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from functions.console_api import live, orders, overruling, people, quality, reviews
from functions.dispatch_orders.statuses import OrderStatus
from functions.http_api.bus import publish
from functions.http_api.http import (
    MANAGERS,
    MAX_NAME_BYTES,
    REVIEWERS,
    ProblemError,
    User,
    described,
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
    """An order. due_until is neither before due_from nor in the past.

    The dispatch checks range and capacity, and may refuse the order later.
    """

    order_id: str | None = Field(
        default=None, min_length=1, max_length=128, description="Default: a new id"
    )
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


class PlacedOrder(TypedDict):
    """The order that was published."""

    order_id: str


class Cancellation(BaseModel):
    """The order to cancel."""

    order_id: str = Field(min_length=1, max_length=128)


class Change(BaseModel):
    """What changes about an order: the fields that are sent; due_from and due_until together."""

    order_id: str = Field(min_length=1, max_length=128)
    due_from: AwareDatetime | None = None
    due_until: AwareDatetime | None = None
    courier_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME_BYTES,
        description="The only courier who may deliver it; null: any courier",
    )
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
    group: people.Group


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


@app.get(
    "/api/console/now",
    compress=True,
    summary="Everything that the view Now shows",
    responses=described("Now", live.Now),
)
def read_now() -> Mapping[str, Any]:
    return live.read_now()


@app.get(
    "/api/console/orders",
    compress=True,
    summary="Open orders by the end of their windows, or all orders of one day, newest first",
    description="A page may be shorter than limit.",
    responses=described("A page", orders.OrderPage, 404),
)
def list_orders(
    day: Annotated[
        date | None,
        Query(
            description="Day of due_until, UTC, or of a refusal; without it, the orders that are "
            "new, waiting or assigned"
        ),
    ] = None,
    state: OrderStatus | None = None,
    courier_id: str | None = None,
    due_after: Annotated[
        AwareDatetime | None, Query(description="Only orders whose due_until is this or later")
    ] = None,
    due_before: Annotated[
        AwareDatetime | None, Query(description="Only orders whose due_until is this or earlier")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(description="next of the page before")] = None,
    order_id: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=128,
            description="Only this order, in any state; the other parameters do not count",
        ),
    ] = None,
) -> Mapping[str, Any]:
    if order_id is not None:
        return orders.list_order(order_id)
    return orders.list_orders(day, state, courier_id, due_after, due_before, limit, cursor)


@app.post(
    "/api/console/orders",
    summary="Place an order",
    description="Publishes Order Placed. An order_id that is known changes nothing.",
    responses=described("Published", PlacedOrder, 404, 503, status=HTTPStatus.ACCEPTED),
)
def place_order(order: NewOrder) -> Response[str]:
    table_of_dispatch("ORDERS_TABLE_NAME")
    detail = order.model_dump(mode="json") | {"placed_by": user().name}
    detail["order_id"] = order.order_id or str(uuid.uuid4())
    publish("Order Placed", detail)
    return respond(HTTPStatus.ACCEPTED, PlacedOrder(order_id=detail["order_id"]))


@app.post(
    "/api/console/cancellations",
    summary="Cancel an order, if no courier has left with it",
    description="Publishes Order Cancelled.",
    responses=described("Published", None, 404, 409, 503, status=HTTPStatus.ACCEPTED),
)
def cancel_order(cancellation: Cancellation) -> Response[str]:
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


@app.post(
    "/api/console/changes",
    summary="Overrule the planner, if no courier has left with the order",
    description="Change the delivery window of an order, pin it to a courier, hold it back or "
    "release it. If the order is on a route that has not left, the route is planned again. "
    "Publishes Order Changed.",
    responses=described("Published", None, 404, 409, 503, status=HTTPStatus.ACCEPTED),
)
def change_order(change: Change) -> Response[str]:
    overruling.check_not_left(change.order_id)
    detail = change.model_dump(mode="json", exclude_unset=True)
    publish("Order Changed", detail | {"changed_by": user().name, "changed_at": now_text()})
    return respond(HTTPStatus.ACCEPTED, {})


@app.post(
    "/api/console/off-shift",
    summary="End a courier's shift now",
    description="Publishes Courier Off Shift. To correct a vehicle, review the courier's photo.",
    responses=described("Published", None, 404, 409, 503, status=HTTPStatus.ACCEPTED),
)
def end_shift(end: EndOfShift) -> Response[str]:
    if not overruling.is_courier_on_shift(end.courier_id):
        raise ProblemError(HTTPStatus.CONFLICT, f"Courier {end.courier_id} is not on shift.")
    publish_end_of_shift(end.courier_id)
    return respond(HTTPStatus.ACCEPTED, {})


def publish_end_of_shift(courier_id: str) -> None:
    """Publish that the user of the request ends a courier's shift now."""
    detail = {"courier_id": courier_id, "off_shift_at": now_text(), "ended_by": user().name}
    publish("Courier Off Shift", detail)


# ── Reviews ──


@app.post(
    "/api/console/leases",
    summary="Take the oldest photos that wait for a review and that nobody else holds",
    description="Nobody else gets them until leased_until (5 minutes). Another request returns "
    "other photos. To give one back, let the lease end.",
    responses=described("Photos", reviews.LeasedPhotos),
)
def lease_photos(request: LeaseRequest) -> Mapping[str, Any]:
    return reviews.lease(user().name, request.count)


@app.post(
    "/api/console/reviews",
    summary="Label a photo",
    description="Publishes Photo Reviewed. The newest review counts, so undo is a new label.",
    responses=described("Published", None, 404, 503, status=HTTPStatus.ACCEPTED),
)
def review_photo(review: Label) -> Response[str]:
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


@app.get(
    "/api/console/quality",
    summary="The last days by model, drift reports, deliveries, retrainings and alarms",
    responses=described("Quality", quality.Quality),
)
def read_quality(hours: Annotated[int, Query(ge=1, le=168)] = 24) -> Mapping[str, Any]:
    return quality.read_quality(hours)


# ── People ──


@app.get(
    "/api/console/people",
    summary="Users of the pool, by user name (managers)",
    responses=described("A page", people.People),
)
def list_people(
    limit: Annotated[int, Query(ge=1, le=60)] = 60, cursor: str | None = None
) -> Mapping[str, Any]:
    user().require(MANAGERS)
    return users().page(limit, cursor)


@app.post(
    "/api/console/people",
    summary="Create a user with a temporary password, which is shown once (managers)",
    responses=described("Created", people.Password, 404, 409, status=HTTPStatus.CREATED),
)
def create_person(person: NewPerson) -> Response[str]:
    user().require(MANAGERS)
    password = users().create(person.user_name, person.group)
    body = people.Password(user_name=person.user_name, temporary_password=password)
    return respond(HTTPStatus.CREATED, body)


@app.post(
    "/api/console/people/<user_name>/password",
    summary="Set a new temporary password (managers)",
    description="No request body.",
    responses=described("Reset", people.Password, 404),
)
def reset_password(user_name: str) -> Mapping[str, Any]:
    user().require(MANAGERS)
    password = users().reset_password(user_name)
    return people.Password(user_name=user_name, temporary_password=password)


@app.post(
    "/api/console/people/<user_name>/blocked",
    summary="Block an account and end its sessions and its shift, or unblock it (managers)",
    description="Publishes Courier Off Shift.",
    responses=described("Done", None, 404, 409, 503, status=HTTPStatus.NO_CONTENT),
)
def block_person(user_name: str, blocking: Blocking) -> Response[str]:
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
