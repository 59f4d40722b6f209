// If a file of the page cannot be loaded, the page says so. A classic script: it needs no other file.

addEventListener("error", ({ target }) => {
  if (target.localName !== "script") return;
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
}, true);
