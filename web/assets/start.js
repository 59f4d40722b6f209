// Starts a page: configuration, sign-in, then the page itself.

import { Api } from "./api.js";
import { Auth } from "./auth.js";
import { signInPage } from "./ui.js";
import { render } from "./vendor/lit-html/lit-html.js";

/** Calls `run({ api, auth, config, root })` once a user is signed in. `titleOf` names the page. */
export async function start(titleOf, run) {
  const root = document.getElementById("page");
  root.replaceChildren();
  let auth;
  let title = "Scones Unlimited";
  try {
    const config = await (await fetch("config.json")).json();
    title = titleOf(config);
    document.title = `${title} · Scones Unlimited`;
    auth = new Auth(config);
    if (await auth.start()) {
      run({ api: new Api(auth), auth, config, root });
      return;
    }
    render(signInPage(title, null, () => auth.signIn()), root);
  } catch (error) {
    const problem = error instanceof TypeError || error instanceof SyntaxError
      ? "The service cannot be reached. Check your connection and reload the page." : error.message;
    render(signInPage(title, problem, () => (auth ? auth.signIn() : location.reload())), root);
  }
}
