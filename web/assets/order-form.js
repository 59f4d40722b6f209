// The form for one order, in a dialog.

import { inputTime } from "./format.js";
import { follow } from "./placing.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const localTime = (minutes) => inputTime(Date.now() + minutes * 60_000);

export class OrderForm {
  place = null; // what was clicked on the map
  #problem = null;
  #placing = null; // the order that the open form places; null if there is none

  constructor(shop) {
    this.shop = shop;
  }

  open(place) {
    this.place = place;
    this.#problem = null;
    const dialog = document.getElementById("new-order");
    const { elements } = dialog.querySelector("form");
    elements.latitude.value = place?.latitude ?? "";
    elements.longitude.value = place?.longitude ?? "";
    elements.boxes.value = 1;
    elements.ready_at.value = localTime(0);
    elements.due_from.value = localTime(0);
    elements.due_until.value = localTime(60);
    this.shop.update();
    dialog.showModal();
    (place ? elements.boxes : elements.latitude).focus();
  }

  async #save(event) {
    event.preventDefault();
    const { elements } = event.target;
    const dialog = event.target.closest("dialog");
    const order = { latitude: elements.latitude.valueAsNumber, longitude: elements.longitude.valueAsNumber,
      boxes: elements.boxes.valueAsNumber };
    for (const name of ["ready_at", "due_from", "due_until"]) order[name] = new Date(elements[name].value).toISOString();
    this.#placing = order;
    this.#problem = null;
    this.shop.update();
    const problem = await this.#place(order);
    if (this.#placing !== order) { // the form was closed
      if (problem) this.shop.report(`New order: ${problem}`);
      return;
    }
    this.#placing = null;
    this.#problem = problem;
    if (!problem) dialog.close();
    this.shop.update();
  }

  /** Places the order and returns why that failed, or null. */
  async #place(order) {
    try {
      const { order_id } = await this.shop.api.post("api/console/orders", order);
      const { refused: [refused], unknown } = await follow(this.shop.api, [{ order_id }]);
      if (unknown.length) this.shop.report(`Order ${order_id} was sent, but the dispatch has not stored it yet. Look for it under Orders before you place it again.`);
      this.shop.readNow();
      return refused?.reason ?? null;
    } catch (error) {
      return inWords(error.message);
    }
  }

  render() {
    return html`<dialog id="new-order" aria-labelledby="new-order-title" @close=${() => { this.place = null; this.#placing = null; this.shop.update(); }}>
      <form @submit=${(event) => this.#save(event)}>
        <h2 id="new-order-title">New order</h2>
        <div class="form">
          ${field("Latitude", html`<input name="latitude" type="number" step="any" min="-90" max="90" required>`)}
          ${field("Longitude", html`<input name="longitude" type="number" step="any" min="-180" max="180" required>`)}
          ${field("Boxes", html`<input name="boxes" type="number" min="1" step="1" required>`)}
          ${field("Ready at", html`<input name="ready_at" type="datetime-local" required>`)}
          ${field("Deliver from", html`<input name="due_from" type="datetime-local" required>`)}
          ${field("Deliver until", html`<input name="due_until" type="datetime-local" required>`)}
        </div>
        ${this.#problem ? html`<p class="notice bad" role="alert">${this.#problem}</p>` : nothing}
        <div class="actions">
          <button type="button" @click=${(event) => event.target.closest("dialog").close()}>Cancel</button>
          <button class="primary" ?disabled=${this.#placing}>${this.#placing ? "Placing…" : "Place order"}</button>
        </div>
      </form></dialog>`;
  }
}

const TITLES = { ready_at: "Ready at", due_from: "Deliver from", due_until: "Deliver until" };

/** The message of the API with the titles of the form. */
const inWords = (message) => message.replace(/^body: /, "").replace(/ready_at|due_from|due_until/g, (name) => TITLES[name]);

const field = (title, input) => html`<label class="field"><span>${title}</span>${input}</label>`;
