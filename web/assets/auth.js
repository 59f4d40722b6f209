// Sign-in with Amazon Cognito: authorization code with PKCE. Tokens are kept in memory only, so a
// reload signs in again: Cognito's session cookie makes that a redirect without a question.

const RESUME = "resume"; // in sessionStorage: what must survive the redirect, and no token

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const randomText = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

const claims = (token) => {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
};

export class Auth {
  #config;
  #access = null;
  #refresh = null;
  #renewal = null;
  #resumed = null;
  #page = location.origin + location.pathname;

  constructor(config) {
    this.#config = config;
  }

  /** Finishes a sign-in or starts the next one. Returns the user; null if the user must ask for it. */
  async start() {
    const query = new URLSearchParams(location.search);
    const saved = JSON.parse(sessionStorage.getItem(RESUME) ?? "null");
    if (query.has("code") && saved?.state && query.get("state") === saved.state) {
      history.replaceState(null, "", this.#page + saved.hash);
      sessionStorage.setItem(RESUME, JSON.stringify({}));
      await this.#ask({ grant_type: "authorization_code", code: query.get("code"),
        redirect_uri: this.#page, code_verifier: saved.verifier });
      sessionStorage.setItem(RESUME, JSON.stringify({ user: this.user }));
      return this.user;
    }
    if (query.has("error") || query.has("code")) {
      history.replaceState(null, "", this.#page);
      sessionStorage.removeItem(RESUME);
      throw new Error("The sign-in did not work. Sign in again.");
    }
    if (saved) await this.signIn();
    return null;
  }

  /** Goes on without a token after a reload without a connection. Returns the user; null if there was none. */
  resume() {
    this.#resumed = JSON.parse(sessionStorage.getItem(RESUME) ?? "null")?.user ?? null;
    return this.#resumed;
  }

  get user() {
    if (!this.#access) return this.#resumed;
    const { username, sub, "cognito:groups": groups } = claims(this.#access);
    return { name: username ?? sub, groups: groups ?? [] };
  }

  get token() {
    return this.#access;
  }

  /** Leaves the page. */
  async signIn() {
    const verifier = randomText();
    const state = randomText();
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    sessionStorage.setItem(RESUME, JSON.stringify({ verifier, state, hash: location.hash }));
    location.assign(`${this.#config.sign_in_url}/oauth2/authorize?` + new URLSearchParams({
      response_type: "code", client_id: this.#config.client_id, redirect_uri: this.#page,
      scope: "openid", state, code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: "S256",
    }));
    await new Promise(() => {}); // until the browser has left
  }

  /** Leaves the page. */
  signOut() {
    sessionStorage.removeItem(RESUME);
    location.assign(`${this.#config.sign_in_url}/logout?` + new URLSearchParams({
      client_id: this.#config.client_id, logout_uri: this.#page,
    }));
  }

  /** Gets a new access token. All who ask at the same time share one request. */
  renew() {
    this.#renewal ??= this.#ask({ grant_type: "refresh_token", refresh_token: this.#refresh })
      .finally(() => { this.#renewal = null; });
    return this.#renewal;
  }

  async #ask(parameters) {
    const response = await fetch(`${this.#config.sign_in_url}/oauth2/token`, {
      method: "POST",
      body: new URLSearchParams({ client_id: this.#config.client_id, ...parameters }),
    });
    if (!response.ok) throw new Error("The sign-in has expired. Sign in again.");
    const tokens = await response.json();
    this.#access = tokens.access_token;
    this.#refresh = tokens.refresh_token ?? this.#refresh;
  }
}
