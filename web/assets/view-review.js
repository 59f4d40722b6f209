// Review: one photo at a time, by keyboard. Nobody else gets a photo while it is leased.

import { percent, time } from "./format.js";
import { heatMap } from "./heat-map.js";
import { icon } from "./ui.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const LEASE = 3; // photos at once
const KEEP = 20; // earlier photos to which a reviewer can go back

const WHY = { // a photo waits for a review
  below_threshold: "It is below the confidence threshold.",
  audit: "It is an audit: it was chosen at random.",
};

export class View {
  #photos = []; // { image_id, ..., url, given, heat }; `given`: the label of this reviewer; `heat`: { label, canvas }
  #at = 0;
  #leasing = false;
  #labelled = []; // photos in the sequence of their labels, for undo
  #explaining = false; // whether the heat map is shown, of this photo and the next ones
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

  #update() {
    this.#explain();
    this.shop.update();
  }

  /** Asks where the model sees the label of the photo, if the reviewer wants to know. */
  async #explain() {
    const photo = this.#photo;
    if (!this.#explaining || !photo?.url || photo.asked) return;
    photo.asked = true;
    photo.heat = await this.shop.guarded(() => this.#heatOf(photo));
    if (!photo.heat) photo.asked = this.#explaining = false;
    this.shop.update();
  }

  async #heatOf(photo) {
    const explanation = await this.shop.api.get(`api/console/explanation?image_id=${encodeURIComponent(photo.image_id)}`);
    const image = new Image();
    image.src = photo.url;
    await image.decode();
    return { label: explanation.label, canvas: heatMap(explanation, image.naturalWidth, image.naturalHeight) };
  }

  #toggle() {
    this.#explaining = !this.#explaining;
    this.#update();
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
    this.#update();
    await Promise.all(photos.map(async (photo) => {
      const preview = await this.shop.guarded(() => this.shop.api.blob(`api/console/preview?size=1024&image_id=${encodeURIComponent(photo.image_id)}`), true);
      if (preview) photo.url = URL.createObjectURL(preview);
      this.#update();
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
    this.#update();
    this.#fill();
  }

  #undo() {
    const photo = this.#labelled.pop();
    if (!photo) return;
    this.#at = this.#photos.indexOf(photo);
    this.#update();
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
    this.#update();
  }

  onKey(event) {
    if (event.target.closest("button") && (event.key === "Enter" || event.key === " ")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const label = Object.keys(this.keys).find((name) => this.keys[name] === key);
    if (label) this.#label(label);
    else if (key === "ArrowRight" || key === "s") this.#move(1);
    else if (key === "ArrowLeft") this.#move(-1);
    else if (key === "u") this.#undo();
    else if (key === "h") this.#toggle();
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
    const heat = this.#explaining ? photo.heat : null;
    const shares = Object.entries(photo.inferences).sort(([, one], [, other]) => other - one);
    return html`<div class="review">
      <figure class="card">${photo.url ? html`<img src=${photo.url} alt="Photo from ${photo.courier_id}">${heat?.canvas ?? nothing}` : html`<p class="loading">Loading the photo…</p>`}</figure>
      <section class="card" aria-label="Label">
        <p class="muted small">${photo.courier_id}, ${time(photo.recorded_at)}</p>
        <p class="small">${WHY[photo.why]}</p>
        <h2>What is in the photo?</h2>
        <div class="labels">${Object.entries(this.keys).map(([label, key]) => html`<button class=${photo.given === label ? "primary" : ""}
          aria-pressed=${photo.given === label} aria-keyshortcuts=${key} @click=${() => this.#label(label)}>
          <kbd>${key}</kbd><span class="grow">${label}</span>${icon(label === "other" ? "image" : label)}</button>`)}</div>
        <p aria-live="polite">${photo.given ? html`<span class="badge good">${icon("check")}you labelled it ${photo.given}</span>` : nothing}</p>
        <h3>The model says</h3>
        <ul class="shares">${shares.map(([label, share]) => html`<li><span>${label}</span><meter min="0" max="1" .value=${share} aria-label=${label}></meter><span class="number">${percent(share)}</span></li>`)}</ul>
        <button aria-pressed=${this.#explaining} aria-keyshortcuts="h" @click=${() => this.#toggle()}><kbd>h</kbd>Where in the photo?</button>
        <p class="muted small" aria-live="polite">${heat ? `Pink: where the model sees ${heat.label}` : this.#explaining ? "Asking the model…" : nothing}</p>
        <p class="muted small keys"><kbd>←</kbd> <kbd>→</kbd> go back and forth · <kbd>s</kbd> skip · <kbd>u</kbd> correct the last label</p>
      </section></div>`;
  }
}

/** One key for each label: its first free letter, else a digit. */
function keysFor(labels) {
  const taken = new Set(["s", "u", "h"]);
  return Object.fromEntries(labels.map((label, index) => {
    const letter = [...label.toLowerCase()].find((each) => /[a-z]/.test(each) && !taken.has(each)) ?? String(index + 1);
    taken.add(letter);
    return [label, letter];
  }));
}
