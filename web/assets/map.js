// The map: the project's own drawing, with rings of distance around the depot. Kilometres east and
// north of the depot become units of a fixed drawing, so that symbols keep their size.

import { html, nothing, svg } from "./vendor/lit-html/lit-html.js";
import { boxes, time, withLocalTimes } from "./format.js";

const HALF = 300; // units from the depot to the edge of the drawing
const KM_PER_DEGREE = 111.2;
const TILE = 256; // units that a tile of the street map should be wide
const FINEST = 19; // zoom of the tiles
const RADIAN = Math.PI / 180;
const STEPS = [0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 500]; // km between two rings

export class ShopMap {
  zoom = 1;

  /** `tiles`: the URL of a street map with {z}, {x} and {y}; empty for none. */
  constructor({ update, onPlace, tiles }) {
    this.tiles = tiles;
    this.update = update;
    this.onPlace = onPlace;
  }

  /** `now`: what the API says; `pin`: a place that was clicked, or null. */
  render({ depot, couriers, orders }, pin, selected) {
    this.depot = depot;
    this.perDegreeEast = KM_PER_DEGREE * Math.cos((depot.latitude * Math.PI) / 180);
    this.radius = this.#fitting(orders) / this.zoom;
    const routes = couriers.filter((courier) => courier.state === "on_route").map((courier) => ({
      courier,
      stops: orders.filter((order) => order.courier_id === courier.courier_id && order.state === "assigned")
        .sort((one, other) => one.arrives_at.localeCompare(other.arrives_at)),
    }));
    const waiting = orders.filter((order) => order.state !== "assigned");
    return html`<figure class="map">
      <svg viewBox="${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}" role="img" @click=${(event) => this.#place(event)}
        aria-label="Map: ${routes.length} couriers on a route, ${waiting.length} waiting orders">
        ${this.tiles ? this.#streets() : nothing}
        ${this.#rings()}
        ${routes.map((route) => this.#route(route, selected))}
        <g class="depot"><rect x="-13" y="-13" width="26" height="26" rx="6"/><path d="M-7 2c0-5 3-8 7-8s7 3 7 8zM-8 2H8v2a3 3 0 0 1-3 3H-5a3 3 0 0 1-3-3z"/><title>The shop</title></g>
        ${waiting.map((order) => this.#waiting(order, selected))}
        ${routes.map((route) => this.#courier(route))}
        ${pin ? svg`<path class="pin" d="M0 0-11-20a12 12 0 1 1 22 0z" transform=${this.#at(pin)}/>` : nothing}
      </svg>
      <div class="zoom">
        <button class="compact" aria-label="Zoom in" @click=${() => this.#zoomBy(1.5)}>+</button>
        <button class="compact" aria-label="Zoom out" @click=${() => this.#zoomBy(1 / 1.5)}>−</button>
      </div>
      <figcaption>${legend}</figcaption>
    </figure>`;
  }

  #zoomBy(factor) {
    this.zoom = Math.min(20, Math.max(0.1, this.zoom * factor));
    this.update();
  }

  #kilometres({ latitude, longitude }) {
    return [(longitude - this.depot.longitude) * this.perDegreeEast, (latitude - this.depot.latitude) * KM_PER_DEGREE];
  }

  #units(place) {
    const [east, north] = this.#kilometres(place);
    return [(east / this.radius) * HALF, (-north / this.radius) * HALF];
  }

  #at(place) {
    const [x, y] = this.#units(place);
    return `translate(${x.toFixed(1)} ${y.toFixed(1)})`;
  }

  /** Kilometres that show all but the farthest twentieth of the orders; those may be wrong. */
  #fitting(orders) {
    const far = orders.filter((order) => order.latitude !== null)
      .map((order) => Math.hypot(...this.#kilometres(order))).sort((one, other) => one - other);
    return Math.max(2, 1.1 * (far[Math.ceil(far.length * 0.95) - 1] ?? 5));
  }

  #place(event) {
    const drawing = event.currentTarget;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
    const [east, north] = [(point.x / HALF) * this.radius, (-point.y / HALF) * this.radius];
    this.onPlace({
      latitude: Number((this.depot.latitude + north / KM_PER_DEGREE).toFixed(5)),
      longitude: Number((this.depot.longitude + east / this.perDegreeEast).toFixed(5)),
    });
  }

  /** The tiles that cover the drawing. They are numbered in the Mercator projection, from the north-west. */
  #streets() {
    const [north, east] = [this.radius / KM_PER_DEGREE, this.radius / this.perDegreeEast];
    const z = Math.min(FINEST, Math.max(0, Math.round(Math.log2((360 / east) * (HALF / TILE)))));
    const count = 2 ** z;
    const column = (longitude) => Math.floor(((longitude + 180) / 360) * count);
    const row = (latitude) => Math.floor((0.5 - Math.asinh(Math.tan(latitude * RADIAN)) / (2 * Math.PI)) * count);
    const corner = (x, y) => this.#units({ longitude: (x / count) * 360 - 180,
      latitude: Math.atan(Math.sinh((1 - (2 * y) / count) * Math.PI)) / RADIAN });
    const { latitude, longitude } = this.depot;
    const [left, right] = [column(longitude - east), column(longitude + east)];
    const [top, bottom] = [row(latitude + north), row(latitude - north)];
    const tiles = Array.from({ length: (right - left + 1) * (bottom - top + 1) }, (_, index) =>
      [left + (index % (right - left + 1)), top + Math.floor(index / (right - left + 1))]);
    return svg`<g class="streets">${tiles.map(([x, y]) => {
      const [[west, high], [later, low]] = [corner(x, y), corner(x + 1, y + 1)];
      const url = this.tiles.replace("{z}", z).replace("{x}", x).replace("{y}", y);
      return svg`<image href=${url} x=${west} y=${high} width=${later - west} height=${low - high} preserveAspectRatio="none"/>`;
    })}</g>`;
  }

  #rings() {
    const step = STEPS.find((km) => this.radius / km <= 5) ?? STEPS.at(-1);
    return Array.from({ length: 8 }, (_, index) => {
      const km = step * (index + 1);
      const units = (km / this.radius) * HALF;
      return svg`<circle class="ring" r=${units.toFixed(1)}/>
        <text class="ring-label" y=${(-units - 5).toFixed(1)}>${km} km</text>`;
    });
  }

  #route({ courier, stops }, selected) {
    const points = stops.map((stop) => this.#units(stop).map((value) => value.toFixed(1)).join(" "));
    const chosen = selected === courier.courier_id ? "selected" : "";
    // The return is drawn only if it is another line: dashes that are drawn twice look solid.
    const way = `M0 0L${points.join("L")}${points.length > 1 ? "L0 0" : ""}`;
    return svg`<g class="route ${courier.vehicle} kind-${courier.vehicle} ${chosen}">
      ${points.length ? svg`<path d=${way}/>` : nothing}
      ${stops.map((stop, index) => svg`<g transform=${this.#at(stop)} class=${stop.late ? "late" : ""}>
        ${courier.vehicle === "bicycle" ? svg`<circle r="9"/>` : svg`<rect x="-9" y="-9" width="18" height="18"/>`}
        <text y="4">${index + 1}</text>
        ${stop.late ? svg`<g class="waiting late" transform="translate(12 -12) scale(.6)">${lateSign}</g>` : nothing}
        <title>Order ${stop.order_id}: ${boxes(stop.boxes)}, ${courier.courier_id} arrives ${time(stop.arrives_at)}${stop.late ? ", late" : ""}</title></g>`)}
    </g>`;
  }

  #waiting(order, selected) {
    const kind = `waiting ${order.late ? "late" : ""} ${selected === order.order_id ? "selected" : ""}`;
    return svg`<g class=${kind} data-order=${order.order_id} transform=${this.#at(order)}>
      ${order.late ? lateSign : svg`<path d="M0-9 9 0 0 9-9 0z"/>`}
      <title>Order ${order.order_id}: ${boxes(order.boxes)}, ${withLocalTimes(order.reason)}</title></g>`;
  }

  /** Where the courier should be: on the line between two stops, by their planned times. */
  #courier({ courier, stops }) {
    const now = Date.now();
    const places = [{ ...this.depot, at: courier.departs_at },
      ...stops.map((stop) => ({ ...stop, at: stop.arrives_at })), { ...this.depot, at: courier.returns_at }];
    let next = places.findIndex((place) => Date.parse(place.at) > now);
    if (next < 0) next = places.length - 1;
    const [from, to] = [places[Math.max(0, next - 1)], places[next]];
    const whole = Date.parse(to.at) - Date.parse(from.at);
    const share = whole > 0 ? Math.min(1, Math.max(0, (now - Date.parse(from.at)) / whole)) : 0;
    const between = {
      latitude: from.latitude + share * (to.latitude - from.latitude),
      longitude: from.longitude + share * (to.longitude - from.longitude),
    };
    return svg`<g class="courier ${courier.vehicle} kind-${courier.vehicle}" transform=${this.#at(between)}>
      ${courier.vehicle === "bicycle" ? svg`<circle r="15"/>` : svg`<rect x="-15" y="-15" width="30" height="30" rx="4"/>`}
      <text y="5">${courier.vehicle[0].toUpperCase()}</text>
      <title>${courier.courier_id}, ${courier.vehicle}: planned place, back ${time(courier.returns_at)}</title></g>`;
  }
}

const lateSign = svg`<path d="M0-13 13 10H-13z"/><path class="mark" d="M0-5v7M0 5.5v.5"/>`;

const legend = html`<ul class="legend">
  <li><svg viewBox="-20 -12 56 24" aria-hidden="true"><g class="route bicycle kind-bicycle"><path d="M-18 0H34"/><circle r="9"/></g></svg>bicycle</li>
  <li><svg viewBox="-20 -12 56 24" aria-hidden="true"><g class="route motorcycle kind-motorcycle"><path d="M-18 0H34"/><rect x="-9" y="-9" width="18" height="18"/></g></svg>motorcycle</li>
  <li><svg viewBox="-14 -14 28 28" aria-hidden="true"><g class="waiting"><path d="M0-9 9 0 0 9-9 0z"/></g></svg>waiting</li>
  <li><svg viewBox="-14 -14 28 28" aria-hidden="true"><g class="waiting late">${lateSign}</g></svg>late</li>
</ul>`;
