// The review of an order's results: looks at one image after the other, collects what is to be changed, applies it.

import { RegionEditor } from "../shared/regions/region_editor.js";
import { announce, readPageData, translate } from "../shared/texts.js";
import { Boxes } from "./boxes.js";
import { Edits } from "./edits.js";
import { listenForKeys } from "./keys.js";
import { Pictures } from "./pictures.js";
import { ImageViewer } from "./image_viewer.js";

const MODES = ["marks", "after", "compare"];
const element = (id) => document.getElementById(id);

class Review {
  constructor(data) {
    this.data = data;
    this.edits = new Edits(data.images);
    this.pictures = new Pictures();
    this.stage = new ImageViewer(this.pictures);
    this.busy = false;
    this.boxes = new Boxes({ overlay: element("viewer-overlay"), list: element("viewer-items"), changed: (text) => this.changed(text) });
    this.editor = new RegionEditor({
      stage: element("viewer-stage"),
      overlay: element("viewer-overlay"),
      list: element("region-list"),
      addButton: element("add-region"),
      changed: () => this.changed(),
    });
    this.editor.shape = "ellipse";
    this.index = -1;
  }

  get images() {
    return this.edits.images;
  }

  get image() {
    return this.images[this.index];
  }

  get editable() {
    return this.data.revisable && !this.busy && !this.image.whole && this.image.state !== "cancelled";
  }

  start() {
    element("viewer").hidden = false;
    const wanted = this.images.findIndex((image) => `#${image.id}` === location.hash);
    this.show(Math.max(wanted, 0));
    element("viewer").focus({ preventScroll: true });
    if (this.data.open) this.#wait();
  }

  show(index, options) {
    if (!this.images[index]) return;
    this.index = index;
    const { image } = this;
    const total = this.images.length;
    element("viewer-name").textContent = image.name;
    const { format } = new Intl.NumberFormat(document.documentElement.lang);
    element("viewer-position").textContent = `${translate("review_position", { number: format(index + 1), total: format(total) })} · ${image.stateText}`;
    element("viewer-doubts").replaceChildren(
      ...image.doubts.map((text) => Object.assign(document.createElement("li"), { className: "doubt", textContent: text })),
    );
    this.showEdit();
    for (const link of document.querySelectorAll("#review-list a")) {
      const current = link.dataset.id === image.id;
      if (current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    history.replaceState(null, "", `#${image.id}`);
    announce([image.name, translate("review_position", { number: index + 1, total }), ...image.doubts, this.#summary()].join(". "));
    const shown = this.#withPlaces(image);
    this.stage.show(shown, options).then(() => {
      // Its size is known now: outlines of polygons depend on it.
      if (this.image !== image) return;
      this.#showRegions();
      for (const next of [index + 1, index + 2, index - 1]) this.#prefetch(this.images[next]);
    });
  }

  showEdit() {
    this.boxes.show(this.image, this.edits.of(this.image), this.editable);
    this.#showRegions();
    // What had the focus may be gone.
    if (document.activeElement === document.body) element("viewer").focus({ preventScroll: true });
    this.editor.drawing = this.editable && matchMedia("(pointer: fine)").matches;
    element("add-region").disabled = !this.editable;
    element("viewer-nothing").hidden = this.image.boxes.length > 0 && !this.image.outside;
    element("viewer-nothing").textContent = translate(
      this.image.whole ? "review_whole" : this.image.outside ? "review_outside" : "review_nothing",
    );
    this.changed();
  }

  #showRegions() {
    const { naturalWidth, naturalHeight } = this.stage.before;
    this.editor.show(this.edits.of(this.image).regions, { width: naturalWidth || 4, height: naturalHeight || 3 });
  }

  changed(text) {
    const { length } = this.edits.changed;
    const apply = element("review-apply");
    apply.hidden = !this.data.revisable && !this.busy;
    apply.disabled = !length || this.busy;
    apply.textContent = this.busy ? translate("review_applying") : length ? translate("review_apply", { n: length }) : translate("review_apply_none");
    element("review-reset").disabled = !this.edits.isChanged(this.image) || this.busy;
    for (const link of document.querySelectorAll("#review-list a")) {
      const image = this.images.find((each) => each.id === link.dataset.id);
      link.classList.toggle("changed", Boolean(image) && this.edits.isChanged(image));
    }
    if (text) announce(text);
  }

  reset() {
    this.edits.reset(this.image);
    this.showEdit();
    element("viewer").focus({ preventScroll: true });
  }

  nextMode() {
    this.stage.setMode(MODES[(MODES.indexOf(this.stage.mode) + 1) % MODES.length]);
  }

  add() {
    if (!this.editable) return;
    this.stage.setMode("marks");
    this.editor.add();
  }

  done() {
    const details = element("review-done");
    if (!details) return;
    details.open = true;
    details.querySelector("button").focus();
  }

  async apply() {
    if (this.busy || !this.edits.changed.length) return;
    this.showError("");
    const body = JSON.stringify(this.edits.body());
    this.busy = true;
    this.showEdit();
    try {
      const headers = { Accept: "application/json", "Content-Type": "application/json" };
      const response = await fetch(`${this.data.order}/review`, { method: "POST", headers, body });
      if (!response.ok) throw new Refused((await response.json()).message);
      announce(translate("review_applying"));
      await this.#wait();
      announce(translate("review_applied"));
    } catch (error) {
      this.showError(error instanceof Refused ? error.message : translate("action_failed"));
    }
    this.busy = false;
    this.showEdit();
  }

  showError(text) {
    element("review-error").textContent = text;
    element("review-error").hidden = !text;
  }

  // Waits until the order has finished, then shows the images as they are.
  async #wait() {
    this.busy = true;
    this.changed();
    await hasFinished(this.data);
    const response = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    this.#renew(JSON.parse(page.getElementById("page-data").textContent), page);
  }

  #renew(data, page) {
    const { id } = this.image;
    const before = this.images;
    // In the order in which they were: who goes through them must not lose the place.
    const places = new Map(before.map((image, index) => [image.id, index]));
    data.images.sort((one, other) => (places.get(one.id) ?? Infinity) - (places.get(other.id) ?? Infinity));
    this.data = data;
    this.edits.renew(data.images);
    for (const image of data.images) {
      const now = page.getElementById(`review-${image.id}`);
      document.getElementById(`review-${image.id}`)?.replaceWith(document.adoptNode(now));
    }
    this.busy = false;
    this.show(Math.max(data.images.findIndex((image) => image.id === id), 0), { keepsZoom: true });
  }

  #withPlaces(image) {
    return this.data.revisable || this.busy ? image : { ...image, before: "", fullBefore: "" };
  }

  #prefetch(image) {
    if (!image) return;
    const { before, after } = this.#withPlaces(image);
    if (before) this.pictures.load(before);
    if (after) this.pictures.load(after);
  }

  #summary() {
    const on = this.edits.of(this.image).on.filter(Boolean).length;
    return this.image.whole ? "" : translate("review_summary", { n: on });
  }
}

class Refused extends Error {}

// Resolves when the order has finished.
function hasFinished({ order, revision }) {
  return new Promise((finished, failed) => {
    const events = new EventSource(`${order}/events?first=0&last=0&after=${revision}`);
    const end = (settle) => {
      events.close();
      settle();
    };
    events.addEventListener("change", (event) => {
      if (!["queued", "running"].includes(JSON.parse(event.data).state)) end(finished);
    });
    for (const name of ["deleted", "failed"]) events.addEventListener(name, () => end(() => failed(new Error(name))));
  });
}

function start() {
  const review = new Review(readPageData());
  if (!review.images.length) return;
  const actions = {
    next: () => review.show(review.index + 1),
    previous: () => review.show(review.index - 1),
    toggle: (index) => review.boxes.toggle(index),
    toggleAll: () => review.boxes.toggleAll(),
    add: () => review.add(),
    mode: () => review.nextMode(),
    zoomIn: () => review.stage.zoomBy(1),
    zoomOut: () => review.stage.zoomBy(-1),
    zoomFit: () => review.stage.zoomBy(0),
    apply: () => review.apply(),
    done: () => review.done(),
  };
  listenForKeys(element("viewer"), actions);
  const buttons = { "review-next": "next", "review-previous": "previous", "add-region": "add", "review-apply": "apply" };
  for (const [id, action] of Object.entries(buttons)) element(id).addEventListener("click", actions[action]);
  element("review-reset").addEventListener("click", () => review.reset());
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", () => review.stage.setMode(button.dataset.mode));
  }
  element("review-list").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    const index = review.images.findIndex((image) => image.id === link?.dataset.id);
    if (index < 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    review.show(index);
    element("viewer").focus();
  });
  addEventListener("beforeunload", (event) => {
    if (review.edits.changed.length) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const details = element("review-done");
    if (event.key !== "Escape" || !details?.open) return;
    details.open = false;
    element("viewer").focus({ preventScroll: true });
  });
  review.start();
}

start();
