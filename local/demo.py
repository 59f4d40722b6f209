"""Show a working day on the local cloud: an hour of the shop in five minutes.

    make demo

Starts the local cloud with the web pages, and opens the console if there is a browser. Couriers
sign in, send photos and deliver. Orders arrive. A reviewer labels the photos below the threshold.
All of them use the API of the pages. Orders stop after an hour of the shop. The couriers and the
reviewer go on until Ctrl-C stops everything. The dispatch plans in real time: a courier
gets the next orders only when the time of the return to the depot has passed.
"""

import math
import os
import random
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from rich.console import Console

from functions.console_api.people import Users, temporary_password
from functions.dispatch_orders.fleet import Location, read_fleet
from functions.http_api.http import COURIERS, MANAGERS, REVIEWERS
from local.browser import Browser
from local.cloud import LocalCloud
from local.command import Parser, Steps, add_ports, add_use_case, carry_out, prepare
from local.keep import accounts_of
from local.processes import SAMPLE_PHOTOS, STATE
from local.use_cases import DEFAULT
from local.web import CERTIFICATE_NOTE, browser_of, prepare_web, web_of

# Minutes of the shop in a minute of yours. The dispatch plans in real time, and the couriers ride
# this much faster than planned.
SPEED = 12
MINUTES = 60
STEP_SECONDS = 1
OVER = (
    "The hour is over: no more orders arrive. Deliveries pause: the return to the depot takes "
    "real time, and a courier gets the next orders after it. Stop with Ctrl-C."
)

# ── The hour ──

# The photos in local/photos that a courier takes, one after the other until one is accepted.
PHOTOS = {
    "bram": ["bicycle-courier.jpg"],
    "cem": ["motorcycle-roadster.jpg"],
    "dina": ["broken-half-sent.jpg", "bicycle-racing.webp"],
    "emil": ["no-vehicle-scone.jpg", "motorcycle-by-a-wall.jpg"],
    "fatima": ["motorcycle-at-night.heic"],
    "gijs": ["bicycle-sideways-12mp.jpg"],
    "hanna": ["bicycle-racing.webp"],
    "ivo": ["motorcycle-out-of-focus.jpg"],
}
LAST_ARRIVAL = 20  # minute of the hour
MINUTES_BETWEEN_REVIEWS = 5
ORDERS = 26
KM_PER_DEGREE = 111.2
# Kilometres from the depot. Most orders are near it.
NEAR, FAR, FAR_SHARE = (0.5, 3.5), (4.0, 9.0), 0.35
MOST_BOXES = 3
# An order is due so early that most routes leave at once.
MINUTES_TO_PREPARE, MINUTES_PER_KM = 13, 3


@dataclass(frozen=True)
class Order:
    """An order of the hour; `due_minutes` are from the order to the end of its window."""

    minute: float
    location: Location
    boxes: int
    due_minutes: float


def arrivals() -> dict[str, float]:
    """The minute in which each courier comes to work."""
    return {
        courier: number * LAST_ARRIVAL / (len(PHOTOS) - 1) for number, courier in enumerate(PHOTOS)
    }


def orders(generator: random.Random, depot: Location) -> list[Order]:
    """The orders of the hour around the depot, the first one first."""
    minutes = sorted(generator.uniform(1, MINUTES) for _ in range(ORDERS))
    return [order(generator, depot, minute) for minute in minutes]


def order(generator: random.Random, depot: Location, minute: float) -> Order:
    """An order from anywhere around the depot."""
    km = generator.uniform(*(FAR if generator.random() < FAR_SHARE else NEAR))
    angle = generator.uniform(0, 2 * math.pi)
    north, east = (km / KM_PER_DEGREE * part for part in (math.sin(angle), math.cos(angle)))
    east /= math.cos(math.radians(depot.latitude))
    location = Location(round(depot.latitude + north, 5), round(depot.longitude + east, 5))
    due = MINUTES_TO_PREPARE + MINUTES_PER_KM * km
    return Order(minute, location, generator.randint(1, MOST_BOXES), due)


def label_of(photo: str) -> str:
    """What a file of local/photos shows: its name begins with the label."""
    label = photo.partition("-")[0]
    return label if label in read_fleet().vehicles else "other"


# ── The people ──


@dataclass
class Person:
    """A user of the pages."""

    name: str
    password: str
    browser: Browser

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a response; None if the request was refused, and a later one may not be.

        Raises:
            LocalCloudError: the local cloud does not respond, or refuses the sign-in.

        """
        if self.browser.token is None:
            self.browser = self.browser.sign_in(self.name, self.password)
        reply = self.browser.api(method, path, body)
        if reply.status == HTTPStatus.UNAUTHORIZED:  # the token has expired
            self.browser.token = None
        if reply.status >= HTTPStatus.BAD_REQUEST:
            return None
        return reply.json if reply.content else {}


type Say = Callable[[str], None]


@dataclass
class Courier:
    """Sends photos until one is accepted, then rides the routes.

    Attributes:
        person: the user.
        left: photos that were not sent yet.
        sent: the names of photos that were sent, by photo_id.
        waits_for: photo_id of a photo that has no result yet.
        state: of that photo, as it was reported last.
        route: `dispatch_id` of the route.
        stops: the minute of each delivery that is left, by order.

    """

    person: Person
    left: list[str]
    sent: dict[str, str] = field(default_factory=dict)
    waits_for: str = ""
    state: str = ""
    route: str = ""
    stops: dict[str, float] = field(default_factory=dict)

    def act(self, minute: float, say: Say) -> None:
        """Do what is next: send a photo, look at its result, or deliver."""
        if self.waits_for:
            self.look(say)
        elif self.state == "accepted":
            self.ride(minute, say)
        elif self.left:
            self.send(say)

    def send(self, say: Say) -> None:
        """Upload the next photo."""
        name = self.left[0]
        content, kind = (SAMPLE_PHOTOS / name).read_bytes(), media_type(name)
        wanted = {"content_type": kind, "size": len(content)}
        form = self.person.ask("POST", "api/courier/uploads", wanted)
        if form is None:
            return
        reply = self.person.browser.upload(form["url"], form["fields"], content)
        if reply.status < HTTPStatus.BAD_REQUEST:
            self.left.pop(0)
            self.waits_for, self.state = form["photo_id"], ""
            self.sent[self.waits_for] = name
            say(f"{self.person.name} sends {name}")

    def look(self, say: Say) -> None:
        """Read what became of the photo."""
        found = self.person.ask("GET", f"api/courier/photos/{self.waits_for}")
        if found is None or found["state"] in (self.state, "not_uploaded", "classifying"):
            return
        self.state = found["state"]
        say(f"{self.person.name}'s photo: {self.state}, {found['label'] or found['reason']}")
        if self.state != "review":
            self.waits_for = ""

    def ride(self, minute: float, say: Say) -> None:
        """Begin a new route, and deliver what is due."""
        shift = self.person.ask("GET", "api/courier/shift")
        route = shift and shift["route"]
        if route and route["dispatch_id"] != self.route:
            self.route = route["dispatch_id"]
            self.stops = minutes_of(route["stops"], datetime.now(UTC), minute)
            number = len(self.stops)
            say(f"{self.person.name} leaves with {number} order{'s' if number > 1 else ''}")
        for order_id, due in list(self.stops.items()):
            if due > minute:
                return
            del self.stops[order_id]
            delivery = {"order_id": order_id, "dispatch_id": self.route}
            if self.person.ask("POST", "api/courier/deliveries", delivery) is not None:
                say(f"{self.person.name} delivers order {order_id[:8]}")


def minutes_of(
    stops: Sequence[Mapping[str, Any]], now: datetime, minute: float
) -> dict[str, float]:
    """The minute of the hour in which a courier who leaves now is at each stop, by order."""
    return {
        stop["order_id"]: minute
        + (datetime.fromisoformat(stop["arrives_at"]) - now) / timedelta(minutes=1)
        for stop in stops
        if stop["delivered_at"] is None
    }


def media_type(photo: str) -> str:
    """The media type of a photo, by its name."""
    kind = photo.rpartition(".")[2]
    return f"image/{'jpeg' if kind == 'jpg' else kind}"


@dataclass
class Shop:
    """The manager, the reviewer and the couriers of the hour.

    Attributes:
        manager: places the orders of the customers.
        reviewer: labels photos.
        couriers: by name.
        orders: that were not placed yet, the first one first.
        reviews_at: the minute from which the reviewer looks for photos again.

    """

    manager: Person
    reviewer: Person
    couriers: dict[str, Courier]
    orders: list[Order]
    reviews_at: float = 0

    def act(self, minute: float, say: Say) -> None:
        """Let everybody do what is due in this minute."""
        while self.orders and self.orders[0].minute <= minute and self.place(self.orders[0], say):
            self.orders.pop(0)
        come = arrivals()
        for name, courier in self.couriers.items():
            if come[name] <= minute:
                courier.act(minute, say)
        if self.reviews_at <= minute:
            self.review(say)
            self.reviews_at = minute + MINUTES_BETWEEN_REVIEWS

    def place(self, placed: Order, say: Say) -> bool:
        """Place an order; False if it was refused."""
        now = datetime.now(UTC)
        body = {
            "latitude": placed.location.latitude,
            "longitude": placed.location.longitude,
            "boxes": placed.boxes,
            "ready_at": now.isoformat(),
            "due_from": now.isoformat(),
            "due_until": (now + timedelta(minutes=placed.due_minutes)).isoformat(),
        }
        taken = self.manager.ask("POST", "api/console/orders", body)
        if taken:
            say(f"order {taken['order_id'][:8]}: boxes {placed.boxes}")
        return taken is not None

    def review(self, say: Say) -> None:
        """Label the demo's photos that wait; the other photos are left to whoever plays."""
        names = {
            photo_id: name
            for courier in self.couriers.values()
            for photo_id, name in courier.sent.items()
            if courier.waits_for == photo_id and courier.state == "review"
        }
        if not names:
            return
        leased = self.reviewer.ask("POST", "api/console/leases", {"count": 1})
        for photo in leased["items"] if leased else []:
            photo_id = photo["image_id"].rpartition("/")[2].partition("#")[0]
            if photo_id in names:
                label = label_of(names[photo_id])
                review = {"image_id": photo["image_id"], "label": label}
                if self.reviewer.ask("POST", "api/console/reviews", review) is not None:
                    say(f"{self.reviewer.name} labels the photo of {photo['courier_id']}: {label}")


def open_shop(cloud: LocalCloud, outputs: dict[str, str]) -> Shop:
    """Create the users; nobody has signed in yet."""
    users = Users(cloud.client("cognito-idp"), outputs["UserPoolId"])
    browser = browser_of(cloud, outputs)

    def person(name: str, group: str) -> Person:
        users.create(name, group)
        password = temporary_password()
        users.of_existing("admin_set_user_password", name, Password=password, Permanent=True)
        return Person(name, password, browser)

    return Shop(
        person("mila", MANAGERS),
        person("sam", REVIEWERS),
        {name: Courier(person(name, COURIERS), list(photos)) for name, photos in PHOTOS.items()},
        orders(random.Random(7), read_fleet().depot),  # noqa: S311 - the same hour each time
    )


# ── The command ──


def demo(cloud: LocalCloud, console: Console) -> int:
    """Start everything, and simulate until Ctrl-C."""
    prepare(cloud, console)
    try:
        outputs = Steps(console).deploy(cloud, Web="on")
        prepare_web(cloud, outputs)
        shop = open_shop(cloud, outputs)
        show(cloud, outputs, console)
        with suppress(KeyboardInterrupt):
            simulate(shop, console)
    finally:
        cloud.stop()
    console.print("\nThe local cloud is stopped.")
    return 0


def show(cloud: LocalCloud, outputs: dict[str, str], console: Console) -> None:
    """Print the URLs and the accounts, and open the console."""
    web = web_of(cloud, outputs)
    for line in (
        f"\nConsole:        {web.console}",
        f"Courier's page: {web.courier_page}",
        "Accounts:",
        *accounts_of(cloud, outputs),
        CERTIFICATE_NOTE,
        f"An hour of the shop takes {MINUTES // SPEED} minutes. Stop with Ctrl-C.\n",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if console.is_terminal and has_browser(os.environ, sys.platform):
        webbrowser.open(web.console)


def has_browser(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a browser with a window can be opened: not on a build server or without a display."""
    if "CI" in environment:
        return False
    return platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & environment.keys())


def simulate(shop: Shop, console: Console) -> None:
    """Let the hour pass, then keep the couriers and the reviewer at work until an interrupt."""
    start = time.monotonic()
    is_over = False
    while True:
        minute = (time.monotonic() - start) / 60 * SPEED

        def say(text: str, minute: float = minute) -> None:
            line = f"minute {minute:3.0f}  {text}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)

        shop.act(minute, say)
        if minute >= MINUTES and not is_over:
            is_over = True
            say(OVER)
        time.sleep(STEP_SECONDS)


def main() -> int:
    """Parse the command line."""
    parser = Parser(description=str(__doc__).splitlines()[0])
    add_ports(parser)
    add_use_case(parser)
    arguments = parser.parse_args()
    if arguments.use_case != DEFAULT:
        parser.error(
            "the demo shows couriers and orders of vehicles only: leave out USE_CASE, or run "
            f"`make up USE_CASE={arguments.use_case}`"
        )
    console = Console()
    cloud = LocalCloud(STATE / "demo", arguments.cloud_port, arguments.serving_port)
    return carry_out(lambda: demo(cloud, console), cloud, console)


if __name__ == "__main__":
    sys.exit(main())
