// Orders: the list, filters, new orders, import, changes, cancellation.

import { boxes, shortId, time, withLocalTimes } from "./format.js";
import { readOrders } from "./csv.js";
import { ChangeForm } from "./change-form.js";
import { OrderForm } from "./order-form.js";
import { follow } from "./placing.js";
import { confirmed } from "./ui.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { live } from "./vendor/lit-html/directives/live.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";

const STATES = { new: "", waiting: "wait", assigned: "", delivered: "good", cancelled: "", refused: "bad" };

const CLOSED = ["delivered", "cancelled", "refused"]; // listed by day only

const instant = (local) => local && new Date(local).toISOString();

export class View {
  #filters = { day: "", state: "", courier_id: "", due_after: "", due_before: "" }; // without a day: open orders; due: local times
  #cursors = [null]; // of the pages that are shown
  #pages = null;
  #couriers = new Set(); // of all orders that were listed
  #import = null; // { name, orders, errors, placed, following }
  #cancelling = null;

  constructor(shop) {
    this.shop = shop;
    this.form = new OrderForm(shop);
    this.change = new ChangeForm(shop, () => this.#read());
  }

  onEnter() {
    this.#read();
  }

  onNow() {
    this.#read();
  }

  async #read() {
    const asked = JSON.stringify(this.#filters);
    const pages = await this.shop.guarded(() => Promise.all(this.#cursors.map((cursor) => {
      const { due_after, due_before, ...filters } = this.#filters;
      const times = { due_after: instant(due_after), due_before: instant(due_before) };
      const query = new URLSearchParams(Object.entries({ ...filters, ...times, cursor: cursor ?? "" }).filter(([, value]) => value));
      return this.shop.api.get(`api/console/orders?${query}`);
    })), true);
    if (pages && asked === JSON.stringify(this.#filters)) this.#pages = pages;
    for (const { courier_id } of pages?.flatMap(({ items }) => items) ?? []) if (courier_id) this.#couriers.add(courier_id);
    this.shop.update();
  }

  #filter(name, value) {
    this.#filters[name] = value;
    if (name === "state" && CLOSED.includes(value) && !this.#filters.day) this.#filters.day = new Date().toISOString().slice(0, 10);
    this.#cursors = [null];
    return this.#read();
  }

  async #cancel(order) {
    this.#cancelling = order;
    this.shop.update();
    if (!await confirmed(document.getElementById("cancel-order"))) return;
    await this.shop.guarded(() => this.shop.api.post("api/console/cancellations", { order_id: order.order_id }));
    this.#read();
  }

  async #choose(event) {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    this.#import = { name: file.name, placed: null, ...readOrders(await file.text()) };
    this.shop.update();
  }

  async #placeAll() {
    const found = this.#import;
    const { orders } = found;
    found.orders = [];
    found.placed = 0;
    found.following = true;
    const placed = [];
    for (const { line, order } of orders) {
      try {
        const { order_id } = await this.shop.api.post("api/console/orders", order);
        placed.push({ line, order_id, chosen: "order_id" in order });
        found.placed += 1;
      } catch (error) {
        found.errors.push({ line, detail: error.message });
      }
      this.shop.update();
    }
    const { refused, unknown } = await follow(this.shop.api, placed);
    found.placed -= refused.length;
    found.errors.push(...refused.map(({ line, order_id, reason }) => ({ line, detail: `order ${order_id} was ${reason}` })),
      ...unknown.map(({ line, order_id }) => ({ line, detail: `order ${order_id} has no state yet; look for it in the list before you place it again` })));
    found.errors.sort((one, other) => one.line - other.line);
    found.following = false;
    this.#read();
  }

  onKey(event) {
    if (event.key === "n") {
      event.preventDefault();
      this.form.open(null);
      return;
    }
    const row = document.activeElement.closest("tr[data-order]");
    const order = row && this.#pages?.flatMap(({ items }) => items).find(({ order_id }) => order_id === row.dataset.order);
    if (order && this.#command(event, order)) {
      event.preventDefault();
      return;
    }
    const rows = [...document.querySelectorAll("tbody tr")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !rows.length) return;
    event.preventDefault();
    const at = rows.indexOf(document.activeElement.closest("tr"));
    rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))].focus();
  }

  /** Runs the command of a key for the order of the focused row, and returns whether there is one. */
  #command({ key, target }, order) {
    if (target.closest("button") || !this.change.canChange(order)) return false;
    const isOpen = order.state !== "assigned";
    if (key === "Enter" || key === "e") this.change.open(order);
    else if (key === "h") this.change.send(order, { held: order.held_by === null });
    else if (key === "x" && isOpen) this.#cancel(order);
    else return false;
    return true;
  }

  render() {
    const orders = this.#pages?.flatMap(({ items }) => items);
    const next = this.#pages?.at(-1).next;
    const onShift = this.shop.now?.couriers.map(({ courier_id }) => courier_id) ?? [];
    const couriers = [...new Set([...this.#couriers, ...onShift])].sort();
    return html`
      <div class="tools">
        <label class="field"><span>Day (UTC)</span><input type="date" .value=${live(this.#filters.day)} @change=${(event) => this.#filter("day", event.target.value)}></label>
        ${this.#filters.day ? html`<button @click=${() => this.#filter("day", "")}>All open orders</button>` : nothing}
        <label class="field"><span>State</span><select @change=${(event) => this.#filter("state", event.target.value)}>
          <option value="">all</option>${Object.keys(STATES).map((state) => html`<option>${state}</option>`)}</select></label>
        <label class="field courier-id"><span>Courier</span><input type="search" list="couriers" placeholder="all" .value=${this.#filters.courier_id} @change=${(event) => this.#filter("courier_id", event.target.value.trim())}></label>
        <datalist id="couriers">${couriers.map((courier_id) => html`<option value=${courier_id}></option>`)}</datalist>
        ${this.#dueField("due_after", "Due after")}
        ${this.#dueField("due_before", "Due before")}
        <span class="grow"></span>
        <span class="file"><input id="csv" type="file" accept=".csv,text/csv" @change=${(event) => this.#choose(event)}><label class="button" for="csv">Import CSV</label></span>
        <button class="primary" aria-keyshortcuts="n" @click=${() => this.form.open(null)}>New order</button>
      </div>
      ${this.#import ? this.#importCard() : nothing}
      <section class="card table" aria-label="Orders" tabindex="0">
        ${orders?.length ? html`<table>
          <thead><tr><th>Order</th><th>State</th><th>Boxes</th><th>Window</th><th>Courier</th><th>Arrives</th><th class="wide">Why</th><th><span class="hidden-label">Action</span></th></tr></thead>
          <tbody>${repeat(orders, ({ order_id }) => order_id, (order) => this.#row(order))}</tbody></table>`
        : html`<p class="loading">${orders ? this.#filters.day ? "No order fits these filters." : "No open order fits these filters." : "Loading…"}</p>`}
      </section>
      ${next ? html`<button @click=${() => { this.#cursors.push(next); this.#read(); }}>Show more</button>` : nothing}
      <p class="muted small keys">Without a day, the list has all open orders. An order is due when its window ends. Keys: <kbd>n</kbd> new order, <kbd>↑</kbd> <kbd>↓</kbd> move in the list. For the order that has the focus:
        <kbd>e</kbd> change, <kbd>h</kbd> hold back or release, <kbd>x</kbd> cancel.</p>
      ${this.form.render()}
      ${this.change.render()}
      <dialog id="cancel-order" aria-labelledby="cancel-title"><form method="dialog">
        <h2 id="cancel-title">Cancel order ${this.#cancelling?.order_id}?</h2>
        <p>No courier will bring it.</p>
        <div class="actions"><button value="no">Keep it</button><button class="primary" value="yes">Cancel the order</button></div>
      </form></dialog>`;
  }

  /** A limit for the end of the delivery window, as a time on this device. */
  #dueField(name, title) {
    return html`<label class="field due"><span>${title}</span><input type="datetime-local" .value=${this.#filters[name]}
      @change=${(event) => this.#filter(name, event.target.value)}></label>`;
  }

  #row(order) {
    const open = order.state === "new" || order.state === "waiting";
    return html`<tr tabindex="-1" data-order=${order.order_id}>
      <th scope="row" title=${order.order_id}>${shortId(order.order_id)}</th>
      <td><span class="badge ${STATES[order.state]}">${order.state}</span>${order.late ? html` <span class="badge bad">late</span>` : nothing}
        ${order.held_by ? html`<span class="badge">held back</span>` : nothing}</td>
      <td>${order.boxes ? boxes(order.boxes) : "–"}</td>
      <td>${order.due_from ? html`${time(order.due_from)} – ${time(order.due_until)}` : "–"}</td>
      <td>${order.courier_id ?? "–"}${order.pinned_to && order.pinned_to !== order.courier_id ? html` <span class="badge">pinned to ${order.pinned_to}</span>` : nothing}</td>
      <td>${time(order.delivered_at ?? order.arrives_at)}</td>
      <td class="wide">${withLocalTimes(order.reason)}</td>
      <td class="actions">${this.change.canChange(order) ? html`<button class="compact" aria-label="Change order ${order.order_id}" @click=${() => this.change.open(order)}>Change</button>` : nothing}
        ${open ? html`<button class="compact danger" aria-label="Cancel order ${order.order_id}" @click=${() => this.#cancel(order)}>Cancel</button>` : nothing}</td>
    </tr>`;
  }

  #importCard() {
    const { name, orders, errors, placed, following } = this.#import;
    return html`<section class="card import" aria-live="polite">
      <h2>${name}</h2>
      <p>${placed === null ? `${orders.length} orders are good. ${errors.length} lines have errors.` : `${placed} orders were placed. ${errors.length} lines have errors.`}</p>
      ${following ? html`<p class="muted">The page waits until the dispatch has planned or refused them…</p>` : nothing}
      ${errors.length ? html`<ul class="errors">${errors.map(({ line, detail }) => html`<li>Line ${line}: ${detail}</li>`)}</ul>` : nothing}
      <div class="actions">
        ${orders.length ? html`<button class="primary" @click=${() => this.#placeAll()}>Place ${orders.length} orders</button>` : nothing}
        <button @click=${() => { this.#import = null; this.shop.update(); }}>Close</button>
      </div></section>`;
  }
}
