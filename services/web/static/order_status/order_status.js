// The page of an order: replaces its parts when the server reports changes.

import { showLocalTimes } from "../shared/local_times.js";
import { announce, readPageData, translate } from "../shared/texts.js";
import { Compare } from "./compare.js";

const ANNOUNCE_EVERY_MS = 5000;

export function startStatus(files = []) {
  const root = document.getElementById("order-status");
  if (!root || root.dataset.started) return;
  root.dataset.started = "yes";
  readPageData();
  const originals = new Map(files.map((file, index) => [index + 1, file]));
  const compare = new Compare(originals);
  let events = null;
  let announced = 0;
  if (root.dataset.live === "yes") listen();
  // A browser has six connections to a server over HTTP/1.1: hidden tabs must not hold them.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) events?.close();
    else if (root.dataset.live === "yes") listen();
  });

  function listen() {
    events?.close();
    if (document.hidden) return;
    const { address, first, last, revision } = root.dataset;
    events = new EventSource(`${address}/events?first=${first}&last=${last}&after=${revision}`);
    events.addEventListener("change", (event) => change(JSON.parse(event.data), event.lastEventId));
    events.addEventListener("deleted", () => {
      events.close();
      root.dataset.live = "no";
      showError(translate("order_deleted"));
    });
    events.addEventListener("failed", () => events.close());
  }

  function change(update, revision) {
    root.dataset.revision = revision;
    document.title = update.title;
    replace("summary", update.summary);
    replace("actions", update.actions);
    for (const [position, html] of Object.entries(update.images)) replace(`image-${position}`, html);
    if (update.settled) {
      events.close();
      root.dataset.live = "no";
    }
    if (update.settled || Date.now() - announced > ANNOUNCE_EVERY_MS) {
      announced = Date.now();
      announce(update.announcement);
    }
  }

  function replace(id, html) {
    const element = document.getElementById(id);
    if (!element || element.dataset.html === html) return;
    element.dataset.html = html;
    const kept = stateOf(element);
    const focused = element.contains(document.activeElement) && document.activeElement.id;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    element.replaceChildren(...parsed.body.childNodes);
    showLocalTimes(element);
    for (const restore of kept) restore();
    if (focused) (document.getElementById(focused) ?? document.getElementById("content")).focus({ preventScroll: true });
  }

  function showError(text) {
    const element = document.getElementById("action-error");
    element.textContent = text;
    element.hidden = !text;
  }

  root.addEventListener("submit", async (event) => {
    if ("navigates" in event.target.dataset) return;
    event.preventDefault();
    showError("");
    const button = event.target.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      const headers = { Accept: "text/html" };
      const body = new URLSearchParams(new FormData(event.target));
      const response = await fetch(event.target.action, { method: "POST", headers, body });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (response.ok) {
        const status = page.getElementById("order-status");
        event.target.closest("details")?.removeAttribute("open");
        document.title = page.title;
        replace("summary", page.getElementById("summary").innerHTML);
        replace("actions", page.getElementById("actions").innerHTML);
        // A small order may be blurred again already.
        for (const item of page.querySelectorAll("#images > li")) replace(item.id, item.innerHTML);
        root.dataset.live = status.dataset.live;
        if (status.dataset.live === "yes" && events?.readyState !== EventSource.OPEN) listen();
      } else {
        showError([...page.querySelectorAll("main h1, main h1 + p")].map((part) => part.textContent).join(". "));
      }
    } catch {
      showError(translate("action_failed"));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });

  root.addEventListener("click", (event) => {
    const link = event.target.closest("a.compare-link");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const item = link.closest("[data-position]");
    // The server's own view of the original, as long as it is kept: browsers show some files otherwise or not at all.
    const drawn = document.getElementById("review-link") ? link.dataset.before : "";
    compare.open(Number(item.dataset.position), link.dataset.name, link.href, drawn);
  });

  document.addEventListener("keydown", (event) => {
    const details = document.querySelector(".actions details[open]");
    if (event.key === "Escape" && details) {
      details.open = false;
      details.querySelector("summary").focus();
    }
  });

  const copy = document.getElementById("copy-link");
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(new URL(root.dataset.address, location.href).href);
      copy.textContent = translate("copied");
      announce(translate("copied"));
    });
  }
}

// Returns functions that open again what is open in a part of the page, and write again what was written.
function stateOf(element) {
  const open = [...element.querySelectorAll("details[open][id]")].map(({ id }) => () => {
    const details = document.getElementById(id);
    if (details) details.open = true;
  });
  const written = [...element.querySelectorAll("details[open] input[id]")].map(({ id, value, checked }) => () => {
    const input = document.getElementById(id);
    if (input) Object.assign(input, { value, checked });
  });
  return [...open, ...written];
}

startStatus();
