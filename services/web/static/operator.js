// Pages that tell how things are now tell so again every few seconds, while somebody looks and is not in the midst of something.

import { localise } from "./page.js";

const SECONDS = 5;
const live = document.getElementById("live");
const hold = document.getElementById("hold");
let held = false;

function busy() {
  if (held || document.hidden) return true;
  const focused = document.activeElement;
  return Boolean(live.querySelector("details[open]")) || (live.contains(focused) && focused !== live);
}

async function refresh() {
  if (busy()) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) {
    location.assign(answer.url); // the session has ended
    return;
  }
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("live");
  if (!fresh || busy()) return;
  localise(fresh);
  live.replaceChildren(...fresh.childNodes);
}

async function again() {
  try {
    await refresh();
  } catch {
    // The service is away for a moment: what was there stays, the next time may succeed.
  }
  setTimeout(again, SECONDS * 1000);
}

hold?.addEventListener("click", () => {
  held = !held;
  hold.setAttribute("aria-pressed", String(held));
});
if (live) setTimeout(again, SECONDS * 1000);
// One confirmation at a time, and Escape closes it.
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.danger[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.danger[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
