// Parts that both pages show.

import { html, nothing, svg } from "./vendor/lit-html/lit-html.js";

const drawn = {
  bicycle: svg`<circle cx="5.5" cy="16" r="3.75"/><circle cx="18.5" cy="16" r="3.75"/>
    <path d="M5.5 16 9 9.5h6.5L18.5 16M9 9.5l3.25 6.5h-6.75M12.25 16l3.25-6.5L14.6 6.5h2.6M7.6 7h2.9"/>`,
  motorcycle: svg`<circle cx="5" cy="16.5" r="3.25" fill="currentColor"/>
    <circle cx="19" cy="16.5" r="3.25" fill="currentColor"/>
    <path d="M4 11.5h6l2 2h3.5L19 16.5M15.5 6h2l2 4.5M8 16.5h6" stroke-width="2.5"/>`,
  camera: svg`<path d="M4 8h3.5L9 5.5h6L16.5 8H20a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1z"/><circle cx="12" cy="13" r="3.5"/>`,
  image: svg`<rect x="3.5" y="4.5" width="17" height="15" rx="1.5"/><circle cx="9" cy="9.5" r="1.5"/><path d="m4 17 5-4.5 3.5 3L16 12l4.5 4.5"/>`,
  check: svg`<path d="m5 12.5 4.5 4.5L19 7.5" stroke-width="2.5"/>`,
  clock: svg`<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5l3.5 2"/>`,
  alert: svg`<path d="M12 4 2.75 20h18.5zM12 10v4.5M12 17.25v.25"/>`,
  offline: svg`<path d="M4 4l16 16M8.5 14.5a5 5 0 0 1 6 0M5 11a10 10 0 0 1 4-2.2M19 11a10 10 0 0 0-5.5-2.6M12 18.5v.1"/>`,
  navigate: svg`<path d="m20 4-7 16-2.5-6.5L4 11z"/>`,
  box: svg`<path d="M4 8.5 12 4l8 4.5v7L12 20l-8-4.5zM4 8.5l8 4.5 8-4.5M12 13v7"/>`,
};

/** A drawing for a label or a state; labels without one get the box. */
export const icon = (name) => html`<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor"
  stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${drawn[name] ?? drawn.box}</svg>`;

export const brand = (name) => html`<span class="brand"><img src="assets/icon.svg" alt="" width="32" height="32">${name}</span>`;

export const notice = (kind, symbol, text) =>
  html`<p class="notice ${kind}">${icon(symbol)}<span>${text}</span></p>`;

export const signInPage = (title, problem, signIn) => html`
  <main class="sign-in">
    <img src="assets/icon.svg" alt="" width="72" height="72">
    <h1>${title}</h1>
    <p>Scones Unlimited</p>
    ${problem ? html`<p class="notice bad" role="alert">${icon("alert")}<span>${problem}</span></p>` : nothing}
    <button class="primary" @click=${signIn}>Sign in</button>
  </main>`;

/** What a user sees who is in none of the groups that a page is for. */
export const otherGroupPage = (title, groups, signOut) => html`
  <main class="sign-in">
    <img src="assets/icon.svg" alt="" width="72" height="72">
    <h1>${title}</h1>
    <p>This page is for ${groups.join(" and ")}. Ask a manager to add you to the group.</p>
    <button @click=${signOut}>Sign out</button>
  </main>`;

/** The dialog `decide`: a question, what follows from a yes, and the word for it. */
export const decision = ({ title, text, word }) => html`<dialog id="decide" aria-labelledby="decide-title"><form method="dialog">
  <h2 id="decide-title">${title}</h2>
  <p>${text}</p>
  <div class="actions"><button value="no">No</button><button class="primary" value="yes">${word}</button></div>
</form></dialog>`;

/** Asks with a dialog. Resolves to true if the person confirms. */
export function confirmed(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
