// Quality: accuracy with intervals, drift, review rate, alarms with what to do.

import { dayName, percent, time } from "./format.js";
import { icon } from "./ui.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const chartOf = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable);

export class View {
  #quality = null;
  #hours = 24;
  #charts = [];
  #drawn = null;

  constructor(shop) {
    this.shop = shop;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    addEventListener("resize", () => this.#draw());
  }

  onEnter() {
    this.#drawn = null; // the charts of the last visit left the page
    this.#read();
  }

  onLeave() {
    this.#charts.forEach((chart) => chart.destroy());
    this.#charts = [];
  }

  async #read() {
    this.#quality = await this.shop.guarded(() => this.shop.api.get(`api/console/quality?hours=${this.#hours}`)) ?? this.#quality;
    this.shop.update();
    if (this.#quality !== this.#drawn) await this.#draw();
  }

  async #draw() {
    const places = document.querySelectorAll(".chart");
    if (!this.#quality?.hours.length || !places.length) return;
    this.#drawn = this.#quality;
    const { default: UPlot } = await import("./vendor/uplot/dist/uPlot.esm.js");
    this.onLeave();
    const reports = [...this.#quality.hours].reverse();
    const hours = reports.map(({ hour }) => Date.parse(`${hour}:00:00Z`) / 1000);
    const values = (name) => reports.map(({ report }) => report[name]);
    const share = (_, value) => (value === null ? "–" : percent(value, 1));
    const line = (label, variable, more) => ({ label, stroke: chartOf(variable), width: 2, value: share, ...more });
    const grid = { stroke: chartOf("--muted"), grid: { stroke: chartOf("--line"), width: 1 }, ticks: { stroke: chartOf("--line") } };
    const options = (place, series, bands) => ({
      width: place.clientWidth, height: 220, bands, legend: { live: true },
      axes: [{ ...grid, space: 90, values: (_, ticks) => ticks.map((tick) => time(tick * 1000)) }, { ...grid, size: 60, values: (_, ticks) => ticks.map((tick) => percent(tick, 0)) }],
      series: [{ label: "Hour", value: (_, value) => (value === null ? "–" : time(value * 1000)) }, ...series],
    });
    const edge = (label) => line(label, "--brand", { width: 1, dash: [4, 4] });
    this.#charts = [
      new UPlot(options(places[0], [line("measured", "--brand", { points: { show: true } }), edge("95%, high"), edge("95%, low"), line("estimated", "--info", { dash: [10, 4] })],
        [{ series: [2, 3], fill: "rgb(160 80 100 / 15%)" }]),
      [hours, values("measured_accuracy"), values("measured_accuracy_high"), values("measured_accuracy_low"), values("estimated_accuracy")], places[0]),
      new UPlot(options(places[1], [line("review rate", "--motorcycle"), line("drift", "--bicycle", { dash: [10, 4] })]),
        [hours, values("review_rate"), values("drift")], places[1]),
    ];
  }

  render() {
    const quality = this.#quality;
    if (!quality) return html`<p class="loading">Loading…</p>`;
    const { deliveries, retrainings } = quality;
    const report = quality.hours[0]?.report;
    const interval = report && intervalOf(report);
    return html`
      <section class="card" aria-label="Alarms"><h2>Alarms</h2><ul class="alarms">${quality.alarms.map(alarm)}</ul>
        ${quality.alarms.length ? nothing : html`<p class="muted">There are no alarms.</p>`}</section>
      ${report ? html`
      <dl class="counts">
        ${fact("Measured accuracy", percent(report.measured_accuracy, 1), interval)}
        ${fact("Estimated accuracy", percent(report.estimated_accuracy, 1), "mean confidence")}
        ${fact("Review rate", percent(report.review_rate), "below the threshold")}
        ${deliveries.delivered ? fact("Delivered late", percent(deliveries.late / deliveries.delivered),
          deliveries.late ? `${deliveries.late} of ${deliveries.delivered}, median ${deliveries.median_minutes_late} minutes` : `of ${deliveries.delivered} deliveries`) : nothing}
        ${fact("Drift", decimal(report.drift), "population stability index")}
        ${fact("Novelty", decimal(report.novelty), "0 to 1, mean")}
      </dl>
      ${shares(quality.hours[0])}
      <section class="card" aria-label="Model"><h2>Model in service: ${report.model}</h2>
        ${retrainings.length ? html`<h3>Last retrainings</h3><ul class="list">${retrainings.map(({ ended_at, outcome }) => html`<li class="row"><time class="small muted">${time(ended_at)}</time><span class="grow">${outcome}</span></li>`)}</ul>`
        : html`<p class="muted">No model was retrained yet.</p>`}</section>
      ${byDay(quality.days)}
      <section class="card"><div class="tools"><h2 class="grow">Accuracy by hour</h2>
        <label class="field inline"><span>Hours</span><select @change=${(event) => { this.#hours = Number(event.target.value); this.#read(); }}>
          ${[24, 72, 168].map((hours) => html`<option ?selected=${hours === this.#hours}>${hours}</option>`)}</select></label></div>
        <div class="chart" role="img" aria-label="Accuracy by hour; the table below has the numbers"></div>
        <h2>Review rate and drift by hour</h2><div class="chart" role="img" aria-label="Review rate and drift by hour; the table below has the numbers"></div>
        <p class="muted small">Model ${report.model}. ${report.predictions} predictions of the last ${report.hours} hours, ${report.reviewed} reviewed.</p>
        <p class="muted small">The numbers of an hour are of the newest hours together, so that they count enough photos.</p>
        <details><summary>Numbers by hour</summary><div class="table" tabindex="0" role="group" aria-label="Numbers by hour"><table>
          <thead><tr><th>Hour</th><th>Model</th><th>Predictions</th><th>Reviewed</th><th>Measured</th><th>Estimated</th><th>Review rate</th><th>Novelty</th><th>Drift</th></tr></thead>
          <tbody>${quality.hours.map(({ hour, report: each }) => html`<tr><th scope="row">${time(`${hour}:00:00Z`)}</th><td>${each.model}</td><td>${each.predictions}</td><td>${each.reviewed}</td>
            <td>${percent(each.measured_accuracy, 1)}</td><td>${percent(each.estimated_accuracy, 1)}</td><td>${percent(each.review_rate)}</td><td>${decimal(each.novelty)}</td><td>${decimal(each.drift)}</td></tr>`)}</tbody></table></div></details>
      </section>` : html`<p class="card muted">There are no reports yet. The first one comes after a full hour with photos.</p>`}`;
  }
}

/** The last days, each with one row for each model that classified photos on it. */
const byDay = (days) => html`<section class="card"><h2>By day and model</h2>
  <p class="muted small">The last 7 days, from midnight to midnight UTC; today is not over. All photos of a row count the same. Drift: the highest of the day.</p>
  <div class="table" tabindex="0" role="group" aria-label="Numbers by day and model"><table>
    <thead><tr><th>Day (UTC)</th><th>Model</th><th>Photos</th><th>Reviewed</th><th>Measured accuracy</th><th>Estimated accuracy</th><th>Review rate</th><th>Novelty</th><th>Drift</th></tr></thead>
    <tbody>${days.map((day) => html`<tr><th scope="row">${dayName(day.day)}</th><td>${day.model}</td><td>${day.predictions}</td><td>${day.reviewed}</td>
      <td>${percent(day.measured_accuracy, 1)} <small class="muted">${intervalOf(day)}</small></td><td>${percent(day.estimated_accuracy, 1)}</td>
      <td>${percent(day.review_rate)}</td><td>${decimal(day.novelty)}</td><td>${decimal(day.drift)}</td></tr>`)}</tbody></table></div></section>`;

const intervalOf = ({ measured_accuracy, measured_accuracy_low, measured_accuracy_high }) => (measured_accuracy === null
  ? "too few reviews" : `${percent(measured_accuracy_low, 1)} to ${percent(measured_accuracy_high, 1)} (95%)`);

const decimal = (number) => number?.toFixed(2) ?? "–";

/** What the senders of an hour sent, for the labels that have a topic. */
const shares = ({ hour, label_shares }) => (label_shares.length ? html`<section class="card">
  <h2>Share of the photos by sender, in the hour from ${time(`${hour}:00:00Z`)}</h2>
  <div class="table" tabindex="0" role="group" aria-label="Share of the photos by sender"><table>
    <thead><tr><th>Sender</th><th>Label</th><th>Share</th><th>Photos</th></tr></thead>
    <tbody>${label_shares.map(({ sender_id, label, share, photos }) => html`<tr><th scope="row">${sender_id}</th>
      <td>${label}</td><td>${percent(share, 1)}</td><td>${photos}</td></tr>`)}</tbody></table></div></section>` : nothing);

const fact = (title, value, text) => html`<div class="count-card"><dt>${title}</dt><dd>${value}<small>${text}</small></dd></div>`;

const STATES = { ALARM: ["bad", "alert", "ALARM"], OK: ["good", "check", "OK"], INSUFFICIENT_DATA: ["", "clock", "no data"] };

function alarm({ name, state, description, since }) {
  const [kind, symbol, words] = STATES[state];
  return html`<li><span class="badge ${kind}">${icon(symbol)}${words}</span>
    <div><strong>${name}</strong> <span class="muted small">since ${time(since)}</span>${state === "ALARM" ? html`<p>${description}</p>` : nothing}</div></li>`;
}
