// The courier's page: photo, shift, route. Without dispatch, a sender sends photos and sees what they show.

import { NoConnection, Refused, poll } from "./api.js";
import { boxes, kilometres, megabytes, navigationLink, time } from "./format.js";
import { Outbox } from "./outbox.js";
import { start } from "./start.js";
import { brand, confirmed, icon, notice } from "./ui.js";
import { photoType, sendPhoto } from "./upload.js";
import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";

const FINAL = ["accepted", "rejected", "failed", "refused"]; // states of a photo that stay

start(({ dispatch }) => (dispatch ? "Courier" : "Photos"), ["couriers"], async ({ api, auth, config, root }) => {
  const outbox = new Outbox(auth.user.name);
  const progress = new Map(); // id of a photo to the share that was sent
  const waiting = new Set(); // ids of items that were to be sent when there was no connection
  const previews = new Map(); // id of a photo to an object URL
  let items = await outbox.items();
  // The shift that was read last, for a reload without a connection.
  const known = items.find((item) => item.kind === "shift") ?? { kind: "shift", shift: null };
  let shift = config.offline ? known.shift : null;
  let offline = Boolean(config.offline);
  let problem = null;
  let ended = false; // the shift, while the page was open
  let attempts = 0;
  let retry;
  let readShift;

  const photos = () => items.filter((item) => item.kind === "photo");
  const queued = () => items.filter((item) => item.state === "queued");
  const deliveries = () => items.filter((item) => item.kind === "delivery");

  // ── What the courier does ──

  async function add(event) {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    const type = photoType(file);
    problem = null;
    if (!type) problem = "This file is not a photo. Choose a JPEG, PNG, WebP, GIF, HEIC or AVIF file.";
    else if (!file.size) problem = "This file is empty. Take the photo again.";
    else if (file.size > config.max_photo_bytes) {
      problem = `This photo is larger than ${megabytes(config.max_photo_bytes)}. Choose a smaller one.`;
    }
    if (problem) return update();
    for (const item of photos().filter(({ state }) => FINAL.includes(state))) await forget(item);
    const item = { kind: "photo", state: "queued", type, bytes: await file.arrayBuffer() };
    await outbox.save(item);
    showPreview(item);
    items.push(item);
    update();
    return send();
  }

  async function deliver(order_id) {
    const item = { kind: "delivery", state: "queued", order_id, dispatch_id: shift.route.dispatch_id,
      delivered_at: new Date().toISOString() };
    await outbox.save(item);
    items.push(item);
    update();
    return send();
  }

  async function finish() {
    if (!await confirmed(root.querySelector("dialog"))) return;
    await guarded(() => api.post("api/courier/off-shift"));
    update();
    setTimeout(readShift, 1000);
  }

  // ── What the page sends ──

  /** Sends what is in the outbox, oldest first; only one page of this browser at a time. */
  function send() {
    clearTimeout(retry);
    return navigator.locks.request("outbox", { ifAvailable: true }, async (lock) => {
      if (!lock) return;
      let item;
      while ((item = queued()[0])) if (!await sendItem(item)) return;
    });
  }

  /** Returns false if there is no connection; then a later call sends the item. */
  async function sendItem(item) {
    try {
      await (item.kind === "photo" ? sendQueuedPhoto(item) : api.post("api/courier/deliveries", {
        order_id: item.order_id, dispatch_id: item.dispatch_id, delivered_at: item.delivered_at }));
      item.state = "sent";
      delete item.bytes;
      await outbox.save(item);
      attempts = 0;
    } catch (error) {
      if (!(error instanceof Refused) || error.status >= 500 || error.status === 429) {
        for (const { id } of queued()) waiting.add(id);
        attempts += 1;
        retry = setTimeout(send, Math.min(60, 2 ** attempts) * 1000);
        return false;
      }
      await refuse(item, error.message);
    } finally {
      progress.delete(item.id);
      update();
    }
    return true;
  }

  async function sendQueuedPhoto(item) {
    const photo = new Blob([item.bytes], { type: item.type });
    const upload = await api.post("api/courier/uploads", { content_type: item.type, size: photo.size });
    item.photo_id = upload.photo_id;
    await sendPhoto(upload, photo, (share) => { progress.set(item.id, share); update(); });
  }

  async function refuse(item, reason) {
    if (item.kind === "delivery") {
      problem = reason;
      return forget(item);
    }
    Object.assign(item, { state: "refused", reason });
    delete item.bytes;
    return outbox.save(item);
  }

  async function forget(item) {
    items = items.filter((other) => other !== item);
    URL.revokeObjectURL(previews.get(item.id));
    previews.delete(item.id);
    await outbox.remove(item);
  }

  // ── What the page reads ──

  async function followPhotos() {
    for (const item of photos().filter(({ state }) => state !== "queued" && !FINAL.includes(state))) {
      await guarded(async () => {
        const { state, label, reason, shift_ends_at } = await api.get(`api/courier/photos/${encodeURIComponent(item.photo_id)}`);
        if (state === item.state) return;
        Object.assign(item, { state, label, reason, shift_ends_at });
        await outbox.save(item);
        if (state === "accepted") readShift?.();
      });
    }
    update();
  }

  /** The courier or the shop has ended the shift: the photo that started it says nothing any more. */
  async function endShift() {
    ended = true;
    for (const item of photos().filter(({ state }) => state === "accepted")) await forget(item);
  }

  function forgetKnownDeliveries() {
    const known = new Set(shift.route?.stops.filter((stop) => stop.delivered_at).map((stop) => stop.order_id));
    for (const item of deliveries()) {
      if (item.state === "sent" && (known.has(item.order_id) || item.dispatch_id !== shift.route?.dispatch_id)) forget(item);
    }
  }

  async function signOut() {
    if (known.id) await outbox.remove(known);
    auth.signOut();
  }

  async function guarded(work) {
    try {
      await work();
      offline = false;
    } catch (error) {
      if (error instanceof NoConnection) offline = true;
      else problem = error.message;
    }
  }

  function showPreview(item) {
    if (item.bytes) previews.set(item.id, URL.createObjectURL(new Blob([item.bytes], { type: item.type })));
  }

  // ── What the page shows ──

  function update() {
    render(page(), root);
  }

  const page = () => html`
    <header class="top">${brand(config.dispatch ? "Courier" : `Photos: ${config.use_case}`)}
      <span class="who"><span>${auth.user.name}</span><button class="plain compact" @click=${signOut}>Sign out</button></span>
    </header>
    <main>
      <h1 class="hidden-label">${config.dispatch ? "Your shift and route" : "Your photos"}</h1>
      <div aria-live="polite">
        ${offline ? notice("wait", "offline", "No connection. Nothing is lost: the page sends and reads again by itself.") : nothing}
        ${problem ? notice("bad", "alert", problem) : nothing}
      </div>
      ${config.dispatch ? shiftAndRoute() : html`${sendCard()} ${takeCard()} ${photoList()}`}
    </main>
    <dialog aria-labelledby="done"><form method="dialog">
      <h2 id="done">Are you done for today?</h2>
      <p>Orders that you have not delivered go to other couriers. To start again, take a new photo.</p>
      <div class="actions"><button value="no">No, go on</button><button class="primary" value="yes">Yes, I am done</button></div>
    </form></dialog>`;

  const shiftAndRoute = () => html`
      ${shift ? html`${shiftCard()} ${shift.state === "off" ? takeCard() : nothing}
        ${photoList()}
        ${shift.route ? routeCard(shift.route) : nothing}
        ${shift.state === "free" ? html`<section class="card empty">${icon("clock")}<h2>No route yet</h2><p class="muted">Your next route appears here.</p></section>` : nothing}
        ${shift.state === "off" ? nothing : html`${takeCard()}<button class="finish danger" @click=${finish}>I am done for today</button>`}`
      : html`${photoList()}<p class="loading">Loading your shift…</p>`}`;

  const sendCard = () => html`<section class="card"><h2>Send a photo</h2>
    <p class="muted">The result is what it shows: ${config.labels.join(", ")}.</p></section>`;

  const shiftCard = () => shift.state === "off"
    ? html`<section class="card"><h2>Start your shift</h2>
        <p class="muted">${ended ? "Your last shift has ended. " : ""}Take a photo of the vehicle that you ride today. All of it must be in the photo.</p></section>`
    : html`<section class="card shift">
        <span class="vehicle kind-${shift.vehicle}">${icon(shift.vehicle)}</span>
        <div><h2>On shift: ${shift.vehicle}</h2><p>Until <time datetime=${shift.shift_ends_at}>${time(shift.shift_ends_at)}</time></p></div>
      </section>`;

  const takeCard = () => html`<section class="card take" aria-label=${config.dispatch ? "Photo of your vehicle" : "Photo"}>
    ${isFirst() ? nothing : html`<p class="muted small">Another vehicle? Take a new photo.</p>`}
    <div><input id="camera" type="file" accept="image/*" capture="environment" @change=${add}>
      <label class="button ${isFirst() ? "primary" : ""}" for="camera">${icon("camera")}Take a photo</label></div>
    <div><input id="chooser" type="file" accept="image/*,.heic,.heif,.avif" @change=${add}>
      <label class="button" for="chooser">${icon("image")}Choose a photo</label></div>
  </section>`;

  const isFirst = () => !config.dispatch || shift.state === "off";

  const photoList = () => photos().length ? html`<section class="card photos" aria-label="Your photos">
    ${repeat(photos(), ({ id }) => id, photoCard)}</section>` : nothing;

  function photoCard(item) {
    const { id } = item;
    const [kind, title, text] = photoWords(item);
    const url = previews.get(item.id);
    return html`<article class="photo" data-state=${item.state}>
      ${url ? html`<img src=${url} alt="" @error=${() => { previews.delete(item.id); update(); }}>`
        : html`<span class="blank">${icon("image")}</span>`}
      <div class="says"><strong class="says-${kind}" aria-live=${progress.has(item.id) ? "off" : "polite"}>${title}</strong><p class="small muted">${text}</p></div>
      ${progress.has(item.id) ? html`<progress max="1" .value=${progress.get(item.id)} aria-label="Sent"></progress>` : nothing}
      ${sendNow(item)}
    </article>`;
  }

  const sendNow = (item) => item?.state === "queued" && waiting.has(item.id)
    ? html`<div class="actions"><button class="compact" @click=${send}>Send now</button></div>` : nothing;

  function photoWords({ id, state, label, reason, shift_ends_at }) {
    if (state === "queued") {
      if (progress.has(id)) return ["wait", `Sending: ${Math.round(progress.get(id) * 100)}%`, "Keep this page open."];
      if (waiting.has(id)) return ["wait", "Waiting for a connection", "The photo is kept on this device and is sent by itself."];
      return ["wait", "Sending…", "Keep this page open."];
    }
    if (state === "accepted") return ["good", `Accepted: ${label}`, shift_ends_at ? `Your shift lasts until ${time(shift_ends_at)}.` : reason];
    if (state === "review") return ["wait", "A colleague looks at your photo", reason];
    if (state === "rejected") return ["bad", "Take the photo again", reason];
    if (state === "failed" || state === "refused") return ["bad", "The photo was not checked. Take it again", reason];
    return ["wait", "Sent", "The photo is being checked…"];
  }

  function routeCard(route) {
    const reported = new Map(deliveries().map((item) => [item.order_id, item]));
    const done = (stop) => stop.delivered_at ?? reported.get(stop.order_id)?.delivered_at;
    const next = route.stops.find((stop) => !done(stop));
    return html`<section class="card route" aria-labelledby="route">
      <h2 id="route">Your route</h2>
      <dl class="facts">
        <div><dt>Loading bay</dt><dd><span class="bay">${route.loading_bay}</span></dd></div>
        <div><dt>Leave</dt><dd>${time(route.departs_at)}</dd></div>
        <div><dt>Boxes</dt><dd>${route.stops.reduce((sum, stop) => sum + stop.boxes, 0)}</dd></div>
        <div><dt>Distance</dt><dd>${kilometres(route.distance_km)}</dd></div>
      </dl>
      <ol class="stops">
        ${route.stops.map((stop, index) => html`<li class="stop ${done(stop) ? "done" : stop === next ? "next" : ""}">
          <span class="place">${done(stop) ? icon("check") : index + 1}</span>
          <div class="what"><strong>${time(stop.arrives_at)}</strong> · ${boxes(stop.boxes)}
            <p>Order ${stop.order_id}${done(stop) ? `, delivered ${time(done(stop))}` : `, due until ${time(stop.due_until)}`}${
              reported.get(stop.order_id)?.state === "queued" ? ", not sent yet" : ""}</p></div>
          ${done(stop) ? sendNow(reported.get(stop.order_id)) : html`<div class="actions">
            <a class="button ${stop === next ? "" : "compact"}" href=${navigationLink(stop)}>${icon("navigate")}Navigate</a>
            <button class=${stop === next ? "primary" : "compact"} @click=${() => deliver(stop.order_id)}>${icon("check")}Delivered</button></div>`}
        </li>`)}
        <li class="stop end"><span class="place">${icon("box")}</span>
          <div class="what"><strong>${time(route.returns_at)}</strong> · back at the shop</div></li>
      </ol>
    </section>`;
  }

  // ── Start ──

  for (const item of photos()) showPreview(item);
  if (config.dispatch) {
    readShift = poll(async () => {
      await guarded(async () => {
        const before = shift;
        shift = await api.get("api/courier/shift");
        if (before && before.state !== "off" && shift.state === "off") await endShift();
        forgetKnownDeliveries();
        if (shift !== known.shift) await outbox.save(Object.assign(known, { shift }));
      });
      update();
    }, 3);
  }
  poll(followPhotos, 1);
  addEventListener("online", send);
  send();
});
