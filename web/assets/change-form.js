// The form with which a person overrules the planner about one order, in a dialog.

import { inputTime } from "./format.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const DIALOG = "change-order";

export class ChangeForm {
  #order = null;
  #couriers = []; // as they were when the form opened: options that move would change the choice
  #problem = null;
  #saving = false;

  constructor(shop, onSaved) {
    this.shop = shop;
    this.onSaved = onSaved;
  }

  /** Whether a person can still overrule the planner: no courier has left with the order. */
  canChange({ state, courier_id }) {
    if (state === "new" || state === "waiting") return true;
    const courier = this.shop.now?.couriers.find((each) => each.courier_id === courier_id);
    return state === "assigned" && Date.parse(courier?.departs_at) > Date.now();
  }

  open(order) {
    this.#order = order;
    this.#problem = null;
    const onShift = this.shop.now?.couriers.map(({ courier_id }) => courier_id) ?? [];
    this.#couriers = [...new Set([...onShift, ...order.pinned_to ? [order.pinned_to] : []])];
    this.shop.update();
    const dialog = document.getElementById(DIALOG);
    const { elements } = dialog.querySelector("form");
    elements.due_from.value = inputTime(order.due_from);
    elements.due_until.value = inputTime(order.due_until);
    elements.courier_id.value = order.pinned_to ?? "";
    elements.held.checked = order.held_by !== null;
    dialog.showModal();
    elements.courier_id.focus();
  }

  /** Sends a change without the form; a refusal becomes a line on the page. */
  send(order, change) {
    return this.shop.guarded(() => this.#post(order, change));
  }

  async #post({ order_id }, change) {
    await this.shop.api.post("api/console/changes", { order_id, ...change });
    this.onSaved();
  }

  #changes({ elements }) {
    const order = this.#order;
    const change = {};
    const window = ["due_from", "due_until"];
    if (window.some((name) => elements[name].value !== inputTime(order[name]))) {
      for (const name of window) change[name] = new Date(elements[name].value).toISOString();
    }
    const pinned = elements.courier_id.value || null;
    if (pinned !== order.pinned_to) change.courier_id = pinned;
    if (elements.held.checked !== (order.held_by !== null)) change.held = elements.held.checked;
    return change;
  }

  async #save(event) {
    event.preventDefault();
    const dialog = event.target.closest("dialog");
    const change = this.#changes(event.target);
    if (!Object.keys(change).length) {
      dialog.close();
      return;
    }
    this.#saving = true;
    this.shop.update();
    try {
      await this.#post(this.#order, change);
      dialog.close();
    } catch (error) {
      this.#problem = error.message;
    }
    this.#saving = false;
    this.shop.update();
  }

  render() {
    const order = this.#order;
    return html`<dialog id=${DIALOG} aria-labelledby="change-order-title" @close=${() => { this.#order = null; this.shop.update(); }}>
      ${order ? this.#form(order) : nothing}</dialog>`;
  }

  #form(order) {
    return html`<form @submit=${(event) => this.#save(event)}>
        <h2 id="change-order-title">Change order ${order.order_id}</h2>
        ${order.state === "assigned" ? html`<p class="muted small">It is on a route of courier ${order.courier_id} that has not left. The whole route is planned again.</p>` : nothing}
        <div class="form">
          <label class="field"><span>Deliver from</span><input name="due_from" type="datetime-local" required></label>
          <label class="field"><span>Deliver until</span><input name="due_until" type="datetime-local" required></label>
          <label class="field"><span>Pin to courier</span><select name="courier_id">
            <option value="">any courier</option>${this.#couriers.map((courier_id) => html`<option>${courier_id}</option>`)}</select></label>
          <label class="check"><input name="held" type="checkbox"> Hold it back until it is released</label>
        </div>
        ${this.#problem ? html`<p class="notice bad" role="alert">${this.#problem}</p>` : nothing}
        <div class="actions">
          <button type="button" @click=${(event) => event.target.closest("dialog").close()}>Close</button>
          <button class="primary" ?disabled=${this.#saving}>Change the order</button>
        </div>
      </form>`;
  }
}
