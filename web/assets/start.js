// Starts a page: configuration, sign-in, then the page itself.

import { Api, fetchInTime } from "./api.js";
import { Auth } from "./auth.js";
import { otherGroupPage, signInPage } from "./ui.js";
import { render } from "./vendor/lit-html/lit-html.js";

/**
 * Calls `run({ api, auth, config, root })` once a user of one of the `groups` is signed in, or was and has no
 * connection. `titleOf` names the page.
 */
export async function start(titleOf, groups, run) {
  const root = document.getElementById("page");
  root.replaceChildren();
  keepForOffline().catch(() => {}); // the page works without a worker, too
  let auth;
  let title = "Scones Unlimited";
  try {
    const config = await readConfig();
    title = titleOf(config);
    document.title = `${title} · Scones Unlimited`;
    auth = new Auth(config);
    if (config.offline && !auth.resume()) throw new TypeError("no connection");
    if (config.offline || await auth.start()) {
      if (!groups.some((group) => auth.user.groups.includes(group))) {
        render(otherGroupPage(title, groups, () => auth.signOut()), root);
        return;
      }
      run({ api: new Api(auth), auth, config, root });
      return;
    }
    render(signInPage(title, null, () => auth.signIn()), root);
  } catch (error) {
    const problem = error instanceof TypeError || error instanceof SyntaxError
      ? "The service cannot be reached. Check your connection and reload the page." : error.message;
    render(signInPage(title, problem, () => (auth && !(error instanceof TypeError) ? auth.signIn() : location.reload())), root);
  }
}

/** The configuration; what was read last, with `offline`, if there is no connection. */
async function readConfig() {
  try {
    const config = await (await fetchInTime("config.json")).json();
    sessionStorage.setItem("config", JSON.stringify(config));
    return config;
  } catch {
    const known = sessionStorage.getItem("config");
    if (known === null) throw new TypeError("no connection");
    return { ...JSON.parse(known), offline: true };
  }
}

/** Lets the worker open this page without a connection, with the files that it has loaded. */
async function keepForOffline() {
  await navigator.serviceWorker.register("assets/worker.js", { scope: "./" });
  const files = performance.getEntriesByType("resource").map(({ name }) => name)
    .filter((name) => name.startsWith(new URL("assets/", location.href).href));
  const cache = await caches.open("pages");
  for (const url of new Set([location.origin + location.pathname, ...files])) {
    if (!await cache.match(url, { ignoreVary: true })) await cache.add(url);
  }
}
