// If a file of the page cannot be loaded, the page is loaded again, a few times. Then it says so.
// A page asks for many files at once, so a service that has just started may refuse some of them.
// A classic script: it needs no other file.

const PAUSES = [1, 2, 4]; // seconds before each new attempt
const ATTEMPT = "attempt"; // in sessionStorage
let failed = false;

addEventListener("error", ({ target }) => {
  if (failed || !target.matches?.("script, link[rel=stylesheet]")) return;
  failed = true;
  const attempt = Number(sessionStorage.getItem(ATTEMPT));
  sessionStorage.setItem(ATTEMPT, attempt + 1);
  if (attempt < PAUSES.length) setTimeout(() => location.reload(), PAUSES[attempt] * 1000);
  else showFailure();
}, true);

addEventListener("load", () => {
  if (!failed) sessionStorage.removeItem(ATTEMPT);
});

function showFailure() {
  sessionStorage.removeItem(ATTEMPT);
  const again = document.createElement("button");
  again.textContent = "Try again";
  again.addEventListener("click", () => location.reload());
  const message = document.createElement("p");
  message.setAttribute("role", "alert");
  message.textContent = "The page could not be loaded. Check your connection and try again.";
  const main = document.createElement("main");
  main.className = "sign-in";
  main.append(message, again);
  document.getElementById("page").replaceChildren(main);
}
