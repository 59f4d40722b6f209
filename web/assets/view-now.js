// Now: the map, the numbers that matter, couriers and latest photos.

import { percent, time } from "./format.js";
import { ShopMap } from "./map.js";
import { OrderForm } from "./order-form.js";
import { icon } from "./ui.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const PHOTO_STATES = { accepted: ["good", "accepted"], review: ["wait", "to review"],
  rejected: ["bad", "rejected"], failed: ["bad", "failed"] };

export class View {
  #selected = null;

  constructor(shop) {
    this.shop = shop;
    this.form = new OrderForm(shop);
    this.map = new ShopMap({ update: shop.update, onPlace: (place) => this.form.open(place) });
  }

  render() {
    const { now } = this.shop;
    if (!now) return this.shop.problem ? nothing : html`<p class="loading">Loading…</p>`;
    const { counts } = now;
    if (!this.shop.config.dispatch) return html`
      <dl class="counts">
        ${count("Photos to review", counts.photos_to_review, "wait", "#review")}
        ${count("Alarms", counts.alarms, "bad", "#quality")}
      </dl>
      ${latest(now.photos)}`;
    return html`
      <dl class="counts">
        ${count("Couriers on shift", counts.couriers_on_shift)}
        ${count("Orders waiting", counts.orders_waiting)}
        ${count("Orders late", counts.orders_late, "bad", "#orders")}
        ${count("Photos to review", counts.photos_to_review, "wait", "#review")}
        ${count("Alarms", counts.alarms, "bad", "#quality")}
      </dl>
      <div class="columns">
        <section class="card" aria-label="Map">
          ${this.map.render(now, this.form.place, this.#selected)}
          <p class="muted small">Click on the map to place an order there.</p>
        </section>
        <div class="side">
          <section class="card"><h2>Couriers</h2>${now.couriers.length ? html`<ul class="list">${now.couriers.map((courier) => this.#courier(courier))}</ul>`
            : html`<p class="muted">No courier is on shift.</p>`}</section>
          ${latest(now.photos)}
        </div>
      </div>
      ${this.form.render()}`;
  }

  #courier(courier) {
    const chosen = this.#selected === courier.courier_id;
    return html`<li><button class="row" aria-pressed=${chosen} @click=${() => {
      this.#selected = chosen ? null : courier.courier_id;
      this.shop.update();
    }}>
      <span class="kind-${courier.vehicle}">${icon(courier.vehicle)}</span>
      <span class="grow"><strong>${courier.courier_id}</strong> <span class="muted small">${courier.vehicle}</span></span>
      <span class="small">${courier.state === "free" ? "free" : html`back ${time(courier.returns_at)}`}</span>
    </button></li>`;
  }
}

const count = (title, number, kind, target) => html`<div class="count-card ${number && kind ? kind : ""}">
  <dt>${target ? html`<a href=${target}>${title}</a>` : title}</dt><dd>${number}</dd></div>`;

const latest = (photos) => html`<section class="card"><h2>Latest photos</h2>${photos.length
  ? html`<ul class="list">${photos.map(photo)}</ul>` : html`<p class="muted">No photo arrived this hour.</p>`}</section>`;

function photo({ courier_id, state, label, confidence, recorded_at }) {
  const [kind, words] = PHOTO_STATES[state];
  return html`<li class="row"><span class="kind-${label}">${icon(label === "bicycle" || label === "motorcycle" ? label : "image")}</span>
    <span class="grow"><strong>${courier_id}</strong> <span class="muted small">${label ?? "no label"}${confidence === null ? nothing : html` ${percent(confidence)}`}</span></span>
    <span class="badge ${kind}">${words}</span><time class="small muted">${time(recorded_at)}</time></li>`;
}
