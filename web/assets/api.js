// Calls of the API. Errors have a message that a person can act on.

const SECONDS = 20; // longer than any function takes

/** Fetches, or gives up: a phone without coverage may wait for minutes. Rejects if there is no response. */
export function fetchInTime(path, options) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), SECONDS * 1000);
  return fetch(path, { ...options, signal: limit.signal }).finally(() => clearTimeout(timer));
}

export class NoConnection extends Error {
  constructor() {
    super("No connection. The page tries again.");
  }
}

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? wordsFor(status));
    this.status = status;
  }
}

function wordsFor(status) {
  if (status === 403) return "Your account may not do this. Ask a manager.";
  if (status === 429) return "Too many requests. Wait a moment and try again.";
  if (status >= 500) return "The service has a fault. Try again in a minute.";
  return "The service refused this. Reload the page and try again.";
}

export class Api {
  #auth;
  #known = new Map(); // path to { etag, data }

  constructor(auth) {
    this.#auth = auth;
  }

  /** Reads JSON. If nothing has changed, the service sends no body and the earlier data counts. */
  async get(path) {
    const known = this.#known.get(path);
    const response = await this.#fetch(path, known ? { headers: { "If-None-Match": known.etag } } : {});
    if (response.status === 304) return known.data;
    const data = await response.json();
    const etag = response.headers.get("ETag");
    if (etag) this.#known.set(path, { etag, data });
    return data;
  }

  async post(path, body) {
    const options = { method: "POST" };
    if (body) {
      options.headers = { "Content-Type": "application/json" };
      options.body = JSON.stringify(body);
    }
    const text = await (await this.#fetch(path, options)).text();
    return text ? JSON.parse(text) : null;
  }

  async blob(path) {
    return (await this.#fetch(path, {})).blob();
  }

  async #fetch(path, options, again = false) {
    let response;
    try {
      response = await fetchInTime(path, {
        ...options,
        headers: { ...options.headers, Authorization: `Bearer ${this.#auth.token}` },
      });
    } catch {
      throw new NoConnection();
    }
    if (response.status === 401) {
      if (again) await this.#auth.signIn();
      await this.#renew();
      return this.#fetch(path, options, true);
    }
    if (!response.ok && response.status !== 304) {
      throw new Refused(response.status, await response.json().catch(() => null));
    }
    return response;
  }

  async #renew() {
    try {
      await this.#auth.renew();
    } catch (error) {
      if (error instanceof TypeError) throw new NoConnection(); // fetch: no response
      await this.#auth.signIn();
    }
  }
}

/** Runs `task` now and then `seconds` after each end, and only if the page is visible. */
export function poll(task, seconds) {
  let timer;
  let running = false;
  async function run() {
    if (running) return;
    clearTimeout(timer);
    running = true;
    try {
      if (!document.hidden) await task();
    } finally {
      running = false;
      timer = setTimeout(run, seconds * 1000);
    }
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  addEventListener("online", run);
  run();
  return run;
}
