// An order's page: its parts are replaced as the server tells that they have changed.

import { Compare } from "./compare.js";
import { localise } from "./page.js";
import { announce, readFacts, say } from "./words.js";

const TELL_EVERY = 5000;

export function startStatus(files = []) {
  const root = document.getElementById("order-status");
  if (!root || root.dataset.started) return;
  root.dataset.started = "yes";
  readFacts();
  const originals = new Map(files.map((file, index) => [index + 1, file]));
  const compare = new Compare(originals);
  let events = null;
  let told = 0;
  if (root.dataset.live === "yes") listen();

  function listen() {
    events?.close();
    const { address, first, last, revision } = root.dataset;
    events = new EventSource(`${address}/events?first=${first}&last=${last}&after=${revision}`);
    events.addEventListener("change", (event) => change(JSON.parse(event.data), event.lastEventId));
    events.addEventListener("gone", () => {
      events.close();
      wrong(say("gone"));
    });
    events.addEventListener("broken", () => events.close());
  }

  function change(news, revision) {
    root.dataset.revision = revision;
    replace("summary", news.summary);
    replace("actions", news.actions);
    for (const [position, html] of Object.entries(news.images)) replace(`image-${position}`, html);
    if (news.rest) events.close();
    if (news.rest || Date.now() - told > TELL_EVERY) {
      told = Date.now();
      announce(news.announcement);
    }
  }

  function replace(id, html) {
    const element = document.getElementById(id);
    if (!element || element.dataset.html === html) return;
    element.dataset.html = html;
    const open = element.querySelector("details")?.open;
    const focused = element.contains(document.activeElement) && document.activeElement.id;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    element.replaceChildren(...parsed.body.childNodes);
    localise(element);
    if (open && element.querySelector("details")) element.querySelector("details").open = true;
    if (focused) (document.getElementById(focused) ?? document.getElementById("content")).focus({ preventScroll: true });
  }

  function wrong(text) {
    const element = document.getElementById("action-wrong");
    element.textContent = text;
    element.hidden = !text;
  }

  root.addEventListener("submit", async (event) => {
    if ("leave" in event.target.dataset) return;
    event.preventDefault();
    wrong("");
    const button = event.target.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      const headers = { Accept: "text/html" };
      const response = await fetch(event.target.action, { method: "POST", headers });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (response.ok) {
        const status = page.getElementById("order-status");
        replace("summary", page.getElementById("summary").innerHTML);
        replace("actions", page.getElementById("actions").innerHTML);
        if (status.dataset.live === "yes" && events?.readyState !== EventSource.OPEN) listen();
      } else {
        wrong([...page.querySelectorAll("main h1, main h1 + p")].map((part) => part.textContent).join(". "));
      }
    } catch {
      wrong(say("failed"));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });

  root.addEventListener("click", (event) => {
    const link = event.target.closest("a.look");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const item = link.closest("[data-position]");
    compare.open(Number(item.dataset.position), link.dataset.name, link.href);
  });

  document.addEventListener("keydown", (event) => {
    const details = document.querySelector(".danger[open]");
    if (event.key === "Escape" && details) {
      details.open = false;
      details.querySelector("summary").focus();
    }
  });

  const copy = document.getElementById("copy");
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(new URL(root.dataset.address, location.href).href);
      copy.textContent = say("copied");
      announce(say("copied"));
    });
  }
}

startStatus();
