// Opens the pages without a connection: what was loaded before comes from the browser's cache. The
// API, config.json and the sign-in are never cached.

const CACHE = "pages";
const SECONDS = 4; // until a file that is known is shown

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  url.search = ""; // of a page: the code of the sign-in
  const path = url.href.startsWith(registration.scope) ? url.pathname.slice(new URL(registration.scope).pathname.length) : null;
  const isOurs = path === "" || path === "console" || path?.startsWith("assets/");
  if (event.request.method === "GET" && isOurs) event.respondWith(load(event.request, url.href));
});

/** The file from the network, or the one that is known if that takes long. */
async function load(request, key) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(key, { ignoreVary: true });
  const fresh = fetch(request).then(async (response) => {
    if (!response.ok) return known ?? response; // too many requests, or a fault
    await cache.put(key, response.clone());
    return response;
  });
  if (!known) return fresh;
  const patience = new Promise((resolve) => setTimeout(resolve, SECONDS * 1000, known));
  return Promise.race([fresh.catch(() => known), patience]);
}
