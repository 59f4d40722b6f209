// Review: one photo at a time, by keyboard. Nobody else gets a photo while it is leased.

import { percent, time } from "./format.js";
import { icon } from "./ui.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const LEASE = 3; // photos at once
const KEEP = 20; // earlier photos to which a reviewer can go back

export class View {
  #photos = []; // { image_id, ..., url, given }; `given`: the label of this reviewer
  #at = 0;
  #leasing = false;
  #labelled = []; // photos in the sequence of their labels, for undo
  #sent = Promise.resolve(); // the last label; the next one is sent after it, because the newest counts

  constructor(shop) {
    this.shop = shop;
    this.keys = keysFor(shop.config.labels);
  }

  onEnter() {
    this.#fill();
  }

  onNow() {
    this.#fill();
  }

  get #photo() {
    return this.#photos[this.#at];
  }

  /** Leases photos until two wait behind the one that is shown, and loads their previews. */
  async #fill() {
    if (this.#leasing || this.#photos.length - this.#at > 2) return;
    this.#leasing = true;
    const lease = await this.shop.guarded(() => this.shop.api.post("api/console/leases", { count: LEASE }), true);
    const photos = lease?.items ?? [];
    this.#photos.push(...photos);
    this.#forget();
    this.#leasing = false;
    this.shop.update();
    await Promise.all(photos.map(async (photo) => {
      const preview = await this.shop.guarded(() => this.shop.api.blob(`api/console/preview?size=1024&image_id=${encodeURIComponent(photo.image_id)}`), true);
      if (preview) photo.url = URL.createObjectURL(preview);
      this.shop.update();
    }));
  }

  #forget() {
    while (this.#at > KEEP) {
      const photo = this.#photos.shift();
      this.#labelled = this.#labelled.filter((other) => other !== photo);
      URL.revokeObjectURL(photo.url);
      this.#at -= 1;
    }
  }

  #move(step) {
    this.#at = Math.min(this.#photos.length, Math.max(0, this.#at + step));
    this.shop.update();
    this.#fill();
  }

  #undo() {
    const photo = this.#labelled.pop();
    if (!photo) return;
    this.#at = this.#photos.indexOf(photo);
    this.shop.update();
  }

  #label(label) {
    const photo = this.#photo;
    if (!photo?.url) return;
    const earlier = photo.given;
    photo.given = label;
    this.#labelled = [...this.#labelled.filter((other) => other !== photo), photo];
    this.#move(1);
    this.#sent = this.#sent.then(() => this.#send(photo, label, earlier));
  }

  async #send(photo, label, earlier) {
    const sent = await this.shop.guarded(async () => {
      await this.shop.api.post("api/console/reviews", { image_id: photo.image_id, label });
      return true;
    });
    if (sent) return;
    photo.given = earlier;
    this.#at = this.#photos.indexOf(photo);
    this.shop.update();
  }

  onKey(event) {
    if (event.target.closest("button") && (event.key === "Enter" || event.key === " ")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const label = Object.keys(this.keys).find((name) => this.keys[name] === key);
    if (label) this.#label(label);
    else if (key === "ArrowRight" || key === "s") this.#move(1);
    else if (key === "ArrowLeft") this.#move(-1);
    else if (key === "u") this.#undo();
    else return;
    event.preventDefault();
  }

  render() {
    const photo = this.#photo;
    if (!photo) {
      return html`<section class="card nothing">${icon(this.#leasing ? "clock" : "check")}
        <h2>${this.#leasing ? "Looking for photos…" : "No photo waits for a review"}</h2>
        <p class="muted">${this.#photos.length ? html`<kbd>←</kbd> shows the photo before.` : "New photos appear here by themselves."}</p></section>`;
    }
    const shares = Object.entries(photo.inferences).sort(([, one], [, other]) => other - one);
    return html`<div class="review">
      <figure class="card">${photo.url ? html`<img src=${photo.url} alt="Photo from ${photo.courier_id}">` : html`<p class="loading">Loading the photo…</p>`}</figure>
      <section class="card" aria-label="Label">
        <p class="muted small">${photo.courier_id}, ${time(photo.recorded_at)}</p>
        <h2>What is in the photo?</h2>
        <div class="labels">${Object.entries(this.keys).map(([label, key]) => html`<button class=${photo.given === label ? "primary" : ""}
          aria-pressed=${photo.given === label} aria-keyshortcuts=${key} @click=${() => this.#label(label)}>
          <kbd>${key}</kbd><span class="grow">${label}</span>${icon(label === "other" ? "image" : label)}</button>`)}</div>
        <p aria-live="polite">${photo.given ? html`<span class="badge good">${icon("check")}you labelled it ${photo.given}</span>` : nothing}</p>
        <h3>The model says</h3>
        <ul class="shares">${shares.map(([label, share]) => html`<li><span>${label}</span><meter min="0" max="1" .value=${share} aria-label=${label}></meter><span class="number">${percent(share)}</span></li>`)}</ul>
        <p class="muted small keys"><kbd>←</kbd> <kbd>→</kbd> go back and forth · <kbd>s</kbd> skip · <kbd>u</kbd> correct the last label</p>
      </section></div>`;
  }
}

/** One key for each label: its first free letter, else a digit. */
function keysFor(labels) {
  const taken = new Set(["s", "u"]);
  return Object.fromEntries(labels.map((label, index) => {
    const letter = [...label.toLowerCase()].find((each) => /[a-z]/.test(each) && !taken.has(each)) ?? String(index + 1);
    taken.add(letter);
    return [label, letter];
  }));
}
