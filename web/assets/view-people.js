// People: a manager creates users, resets passwords and blocks accounts.

import { confirmed, decision, icon } from "./ui.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const GROUPS = ["couriers", "reviewers", "managers"];
const STATES = { FORCE_CHANGE_PASSWORD: "must choose a password", CONFIRMED: "active" };

export class View {
  #pages = [];
  #next = null;
  #asked = {}; // what the dialog asks
  #password = null; // { user_name, temporary_password }, shown once

  constructor(shop) {
    this.shop = shop;
  }

  onEnter() {
    this.#read(null);
  }

  async #read(cursor) {
    const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
    const page = await this.shop.guarded(() => this.shop.api.get(`api/console/people${query}`));
    if (!page) return;
    this.#pages = cursor ? [...this.#pages, page.items] : [page.items];
    this.#next = page.next;
    this.shop.update();
  }

  async #create(event) {
    event.preventDefault();
    const form = event.target;
    const body = { user_name: form.elements.user_name.value.trim().toLowerCase(), group: form.elements.group.value };
    await this.#withPassword(() => this.shop.api.post("api/console/people", body), () => form.reset());
  }

  async #confirmed(title, text, word) {
    this.#asked = { title, text, word };
    this.shop.update();
    return confirmed(document.getElementById("decide"));
  }

  async #reset({ user_name }) {
    const text = "The old password stops working. The user gets a temporary one from you.";
    if (!await this.#confirmed(`Reset the password of ${user_name}?`, text, "Reset the password")) return;
    return this.#withPassword(() => this.shop.api.post(`api/console/people/${encodeURIComponent(user_name)}/password`));
  }

  async #withPassword(work, then = () => {}) {
    const password = await this.shop.guarded(work);
    if (!password) return;
    then();
    this.#password = password;
    this.#read(null);
    this.shop.update();
    document.getElementById("password").showModal();
  }

  async #block({ user_name, blocked }) {
    const text = "The user cannot sign in any more. If a courier is on shift, the shift ends.";
    if (!blocked && !await this.#confirmed(`Block ${user_name}?`, text, "Block the user")) return;
    await this.shop.guarded(() => this.shop.api.post(`api/console/people/${encodeURIComponent(user_name)}/blocked`, { blocked: !blocked }));
    this.#read(null);
  }

  render() {
    const people = this.#pages.flat();
    return html`
      <form class="card tools" @submit=${(event) => this.#create(event)}>
        <label class="field"><span>User name</span><input name="user_name" required maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*"
          autocapitalize="none" autocomplete="off" title="Letters a to z, digits, dot, dash and underscore"></label>
        <label class="field"><span>Group</span><select name="group">${GROUPS.map((group) => html`<option>${group}</option>`)}</select></label>
        <button class="primary">Create user</button>
      </form>
      <section class="card table" tabindex="0" aria-label="Users"><table>
        <thead><tr><th>User</th><th>Group</th><th>State</th><th><span class="hidden-label">Actions</span></th></tr></thead>
        <tbody>${people.map((person) => html`<tr>
          <th scope="row">${person.user_name}</th><td>${person.groups.join(", ")}</td>
          <td>${person.blocked ? html`<span class="badge bad">blocked</span>` : STATES[person.state] ?? person.state}</td>
          <td class="actions">
            <button class="compact" aria-label="Reset password of ${person.user_name}" @click=${() => this.#reset(person)}>Reset password</button>
            ${person.user_name === this.shop.auth.user.name ? nothing : html`<button class="compact ${person.blocked ? "" : "danger"}"
              aria-label="${person.blocked ? "Unblock" : "Block"} ${person.user_name}" @click=${() => this.#block(person)}>${person.blocked ? "Unblock" : "Block"}</button>`}
          </td></tr>`)}</tbody></table></section>
      ${this.#next ? html`<button @click=${() => this.#read(this.#next)}>Show more</button>` : nothing}
      ${decision(this.#asked)}
      <dialog id="password" aria-labelledby="password-title" @close=${() => { this.#password = null; this.shop.update(); }}><form method="dialog">
        <h2 id="password-title">Password of ${this.#password?.user_name}</h2>
        <p>It is shown only now. The user chooses another one at the first sign-in.</p>
        <p class="secret">${this.#password?.temporary_password}</p>
        <div class="actions"><button class="primary">${icon("check")}I have noted it</button></div>
      </form></dialog>`;
  }
}
