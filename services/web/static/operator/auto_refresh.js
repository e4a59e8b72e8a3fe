// Refreshes live pages every few seconds, unless the page is hidden, paused or in use.

import { showLocalTimes } from "../shared/local_times.js";

const INTERVAL_SECONDS = 5;
const live = document.getElementById("live");
const pauseButton = document.getElementById("pause-refresh");
let paused = false;

function busy() {
  if (paused || document.hidden) return true;
  const focused = document.activeElement;
  return Boolean(live.querySelector("details[open]")) || (live.contains(focused) && focused !== live);
}

async function refresh() {
  if (busy()) return;
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (response.redirected) {
    location.assign(response.url); // the session has ended
    return;
  }
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("live");
  if (!fresh || busy()) return;
  showLocalTimes(fresh);
  live.replaceChildren(...fresh.childNodes);
}

async function loop() {
  try {
    await refresh();
  } catch {
    // The service is unavailable: keep the page, and try again.
  }
  setTimeout(loop, INTERVAL_SECONDS * 1000);
}

pauseButton?.addEventListener("click", () => {
  paused = !paused;
  pauseButton.setAttribute("aria-pressed", String(paused));
});
if (live) setTimeout(loop, INTERVAL_SECONDS * 1000);
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
