// Now: the map, the numbers that matter, couriers and latest photos.

import { percent, time } from "./format.js";
import { ShopMap } from "./map.js";
import { OrderForm } from "./order-form.js";
import { confirmed, decision, icon } from "./ui.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const PHOTO_DIALOG = "photo";
const PHOTO_STATES = { accepted: ["good", "accepted"], review: ["wait", "to review"],
  rejected: ["bad", "rejected"], failed: ["bad", "failed"] };

const stateOf = ({ state }) => html`<span class="badge ${PHOTO_STATES[state][0]}">${PHOTO_STATES[state][1]}</span>`;

export class View {
  #selected = null;
  #asked = {}; // what the dialog asks

  constructor(shop) {
    this.shop = shop;
    this.form = new OrderForm(shop);
    this.photo = new PhotoDialog(shop);
    this.map = new ShopMap({ tiles: shop.config.map_tiles, update: shop.update, onPlace: (place) => this.form.open(place) });
  }

  onLeave() {
    this.photo.close();
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
      ${this.#latest(now.photos)}
      ${this.photo.render()}`;
    return html`
      <dl class="counts">
        ${count("Couriers on shift", counts.couriers_on_shift)}
        ${count("Orders waiting", counts.orders_waiting, "", "#orders")}
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
          ${this.#latest(now.photos)}
        </div>
      </div>
      ${this.form.render()}
      ${this.photo.render()}
      ${decision(this.#asked)}`;
  }

  #latest(photos) {
    return html`<section class="card"><h2>Latest photos</h2>${photos.length
      ? html`<ul class="list">${photos.map((photo) => this.#photoRow(photo))}</ul>`
      : html`<p class="muted">No photo arrived this hour.</p>`}</section>`;
  }

  #photoRow(photo) {
    const { image_id, courier_id, label, model_label, confidence, recorded_at } = photo;
    return html`<li><button class="row" aria-haspopup="dialog" data-photo=${image_id} @click=${() => this.photo.open(photo)}>
      <span class="kind-${label}">${icon(label === "bicycle" || label === "motorcycle" ? label : "image")}</span>
      <span class="grow"><strong>${courier_id}</strong> <span class="muted small">${label ?? "no label"}${confidence !== null && label === model_label ? html` ${percent(confidence)}` : nothing}</span></span>
      ${stateOf(photo)}<time class="small muted">${time(recorded_at)}</time></button></li>`;
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
    </button>${chosen ? this.#decisions(courier) : nothing}</li>`;
  }

  /** What a person can decide about a courier. */
  #decisions(courier) {
    const others = this.shop.config.labels.filter((label) => label !== courier.vehicle);
    return html`<div class="decisions">
      <span class="small muted">Until ${time(courier.shift_ends_at)}. Correct the vehicle:</span>
      ${others.map((label) => html`<button class="compact" @click=${() => this.#correct(courier, label)}>${label === "other" ? "no vehicle" : label}</button>`)}
      <button class="compact danger" @click=${() => this.#endShift(courier)}>End the shift</button>
    </div>`;
  }

  async #correct({ courier_id, vehicle, image_id }, label) {
    const seen = label === "other" ? "no vehicle" : label;
    await this.#decide({ title: `${courier_id}: ${seen}, not ${vehicle}?`, word: "Correct the vehicle",
      text: "The photo gets this label. A route that was assigned stays as it is." },
    () => this.shop.api.post("api/console/reviews", { image_id, label }));
  }

  async #endShift({ courier_id }) {
    await this.#decide({ title: `End the shift of ${courier_id}?`, word: "End the shift",
      text: "Orders that the courier has not delivered go to other couriers." },
    () => this.shop.api.post("api/console/off-shift", { courier_id }));
  }

  async #decide(asked, work) {
    this.#asked = asked;
    this.shop.update();
    if (!await confirmed(document.getElementById("decide"))) return;
    await this.shop.guarded(work);
    this.shop.readNow();
  }
}

const count = (title, number, kind, target) => html`<div class="count-card ${number && kind ? kind : ""}">
  <dt>${target ? html`<a href=${target}>${title}</a>` : title}</dt><dd>${number}</dd></div>`;

/** A photo in a dialog, with what the model and people say about it. */
class PhotoDialog {
  #photo = null;
  #url = null;
  #problem = null;

  constructor(shop) {
    this.shop = shop;
  }

  async open(photo) {
    this.#photo = photo;
    this.shop.update();
    document.getElementById(PHOTO_DIALOG).showModal();
    try {
      const preview = await this.shop.api.blob(`api/console/preview?size=1024&image_id=${encodeURIComponent(photo.image_id)}`);
      if (this.#photo === photo) this.#url = URL.createObjectURL(preview);
    } catch (error) {
      if (this.#photo === photo) this.#problem = error.message;
    }
    this.shop.update();
  }

  close() {
    document.getElementById(PHOTO_DIALOG)?.close();
  }

  #onClose() {
    // The browser returns the focus to the button, which may have another photo by now.
    document.querySelector(`[data-photo="${CSS.escape(this.#photo.image_id)}"]`)?.focus();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#photo = this.#url = this.#problem = null;
    this.shop.update();
  }

  render() {
    return html`<dialog id=${PHOTO_DIALOG} aria-labelledby="photo-title" @close=${() => this.#onClose()}>
      ${this.#photo ? this.#content(this.#photo) : nothing}</dialog>`;
  }

  #content(photo) {
    const { courier_id, label, model_label, confidence, recorded_at } = photo;
    return html`<h2 id="photo-title">Photo from ${courier_id}</h2>
      <p class="muted small">${time(recorded_at)} ${stateOf(photo)}</p>
      <figure>${this.#url ? html`<img src=${this.#url} alt="Photo from ${courier_id}">`
        : this.#problem ? html`<p class="notice bad" role="alert">${this.#problem}</p>` : html`<p class="loading">Loading the photo…</p>`}</figure>
      <p>${model_label === null ? "The model has given it no label." : html`The model says <strong>${model_label}</strong>, ${percent(confidence)} confidence.`}</p>
      ${label === model_label ? nothing : html`<p>A person says <strong>${label}</strong>.</p>`}
      <div class="actions"><button @click=${() => this.close()}>Close</button></div>`;
  }
}
