// The console: one page, one view at a time, chosen by the part of the URL after #.

import { NoConnection, poll } from "./api.js";
import { start } from "./start.js";
import { brand, icon, notice } from "./ui.js";
import { html, nothing, render } from "./vendor/lit-html/lit-html.js";

const VIEWS = [
  { name: "now", title: "Now" },
  { name: "orders", title: "Orders", dispatch: true },
  { name: "review", title: "Review", count: "photos_to_review" },
  { name: "quality", title: "Quality", count: "alarms" },
  { name: "people", title: "People", group: "managers" },
];

start(({ use_case }) => `Console: ${use_case}`, ["reviewers", "managers"], ({ api, auth, config, root }) => {
  const views = VIEWS.filter(({ group, dispatch }) =>
    (!group || auth.user.groups.includes(group)) && (!dispatch || config.dispatch));
  const opened = new Map(); // name of a view to the view
  let shown = views[0];
  let now = null;
  let offline = false;
  let problem = null;
  let broken = null; // name of a view whose module could not be loaded

  const shop = {
    api, auth, config, update, guarded, report,
    get now() { return now; },
    get problem() { return problem; },
    readNow: null,
  };
  shop.readNow = poll(async () => {
    await guarded(async () => { now = await api.get("api/console/now"); }, true);
    opened.get(shown.name)?.onNow?.();
    update();
  }, 2);
  addEventListener("hashchange", show);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey) opened.get(shown.name)?.onKey?.(event);
  });
  show();

  /** Shows a problem as one line on the page. */
  function report(line) {
    problem = line;
    update();
  }

  /** Runs work of a view; a failure becomes one line on the page. */
  async function guarded(work, quiet = false) {
    try {
      const result = await work();
      offline = false;
      if (!quiet) problem = null;
      return result;
    } catch (error) {
      if (error instanceof NoConnection) offline = true;
      else problem = error.message;
      return null;
    } finally {
      update();
    }
  }

  async function show() {
    opened.get(shown.name)?.onLeave?.();
    shown = views.find(({ name }) => name === location.hash.slice(1)) ?? views[0];
    problem = null;
    document.title = `${shown.title} · Scones Unlimited`;
    const { name } = shown;
    if (!opened.has(name)) {
      try {
        const { View } = await import(`./view-${name}.js`);
        opened.set(name, new View(shop));
      } catch {
        broken = name;
      }
    }
    if (shown.name !== name) return;
    opened.get(name)?.onEnter?.();
    update();
  }

  function update() {
    render(html`
      <header class="bar">${brand(`Console: ${config.use_case}`)}
        <nav aria-label="Views">${views.map((view) => html`<a href="#${view.name}" aria-current=${view === shown ? "page" : "false"}>
          ${view.title}${now?.counts[view.count] ? html`<span class="count">${now.counts[view.count]}</span>` : nothing}</a>`)}</nav>
        <span class="who"><span>${auth.user.name}</span><button class="plain compact" @click=${() => auth.signOut()}>Sign out</button></span>
      </header>
      <main class="view view-${shown.name}">
        <h1 class="hidden-label">${shown.title}</h1>
        <div class="messages" aria-live="polite">
          ${offline ? notice("wait", "offline", "No connection. The page shows what it last read and tries again.") : nothing}
          ${problem ? notice("bad", "alert", problem) : nothing}
        </div>
        ${opened.get(shown.name)?.render() ?? (broken === shown.name ? notLoaded : html`<p class="loading">Loading…</p>`)}
      </main>`, root);
  }
});

// A browser may remember that a module failed, until the page is loaded again.
const notLoaded = html`<div class="card">
  <p role="alert">This view could not be loaded. Check your connection and try again.</p>
  <button @click=${() => location.reload()}>Try again</button></div>`;
