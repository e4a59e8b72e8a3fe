// Regions over a picture: drawn by mouse, touch and pen, moved and resized by pointer, by keyboard, and as numbers in a list.

import { announce, formatNumber, translate } from "../texts.js";
import { makeDraft, makeOutline, place } from "./outlines.js";
import { RegionList } from "./region_list.js";
import {
  MAX_REGIONS,
  bounds,
  clamp,
  continues,
  copyOf,
  polygonAround,
  regionIn,
  setBounds,
  strokeAlong,
} from "./shapes.js";

const STEP = 0.01;
// A shorter way of the pointer is a click.
const CLICK_PX = 4;
const CORNER_PX = 14;
const LEAST_DRAWN = 0.015;
const MAX_POINTS = 1900;
const ADDED = { left: 0.35, top: 0.35, width: 0.3, height: 0.3 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class RegionEditor {
  // overlay: an element as large as the picture, with the attributes of `stage` (a class `drawing` while a pointer draws).
  // list: where the regions are as numbers; addButton: gets the focus when the last region is removed.
  // `changed` is called after every change of the regions, `refused(text)` if there would be too many.
  constructor({ stage, overlay, list, addButton, changed, refused = announce }) {
    this.stage = stage;
    this.overlay = overlay;
    this.addButton = addButton;
    this.changed = changed;
    this.refused = refused;
    this.shape = "box";
    this.brushWidth = 0.06;
    this.regions = [];
    this.size = { width: 4, height: 3 };
    this.layer = overlay.appendChild(document.createElement("div"));
    this.layer.className = "layer";
    this.draft = makeDraft();
    this.firstCorner = document.createElement("span");
    this.firstCorner.className = "first-corner";
    this.corners = []; // of a polygon that is not closed yet
    this.list = new RegionList({ list, resized: (index, to) => this.#resize(index, to), removed: (index) => this.remove(index) });
    overlay.addEventListener("pointerdown", (event) => this.#begin(event));
    overlay.addEventListener("keydown", (event) => this.#key(event));
  }

  set drawing(value) {
    this.stage.classList.toggle("drawing", value);
  }

  get drawing() {
    return this.stage.classList.contains("drawing");
  }

  // Shows the regions of a picture, which are changed in place; the same again when its size is known: who draws, moves or
  // writes a number meanwhile goes on.
  show(regions, size) {
    this.size = size;
    if (regions === this.regions) {
      regions.forEach((region, index) => this.#place(this.layer.children[index], region, index));
      this.list.resize(regions, size);
      return;
    }
    this.cancelDrawing();
    this.regions = regions;
    this.#render();
  }

  // Adds a region without a pointer, and gives it the focus.
  add(region = regionIn(this.shape, ADDED, this.brushWidth)) {
    if (!this.#append(region)) return;
    // Without a picture the outlines cannot be seen, but their numbers can.
    const outline = this.layer.lastElementChild;
    (outline.checkVisibility() ? outline : this.list.firstInput(this.regions.length - 1)).focus();
    announce(translate("region_added", { shape: translate(region.shape) }));
  }

  remove(index) {
    const [region] = this.regions.splice(index, 1);
    this.#render();
    this.changed();
    announce(translate("region_removed", { shape: translate(region.shape) }));
    (this.layer.children[Math.min(index, this.regions.length - 1)] ?? this.addButton).focus();
  }

  // Returns whether there is room.
  #append(region) {
    const points = [...this.regions, region].reduce((sum, each) => sum + pointsOf(each), 0);
    if (this.regions.length >= MAX_REGIONS || points > MAX_POINTS) {
      this.refused(translate("too_many_regions", { n: MAX_REGIONS }));
      return false;
    }
    this.regions.push(region);
    this.#render();
    this.changed();
    return true;
  }

  #render() {
    this.layer.replaceChildren(...this.regions.map((region, index) => this.#outline(region, index)));
    this.list.show(this.regions, this.size);
  }

  #outline(region, index) {
    const element = makeOutline("region", region);
    element.dataset.index = index;
    const label = document.createElement("span");
    label.className = "label";
    label.textContent = index + 1;
    const handle = document.createElement("span");
    handle.className = "handle";
    element.append(label, handle);
    this.#place(element, region, index);
    return element;
  }

  #place(element, region, index) {
    place(element, region, this.size);
    const box = bounds(region, this.size);
    const sides = Object.entries(box).map(([side, share]) => [side, formatNumber(share * 100, 1)]);
    const values = { shape: translate(region.shape), n: index + 1, ...Object.fromEntries(sides) };
    element.setAttribute("aria-label", translate("region", values));
  }

  #resize(index, to) {
    setBounds(this.regions[index], to, this.size);
    this.#moved(index);
  }

  #moved(index) {
    const region = this.regions[index];
    this.#place(this.layer.children[index], region, index);
    this.list.update(index, region, this.size);
    this.changed();
  }

  #point(event) {
    const box = this.overlay.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1)];
  }

  #begin(event) {
    if (event.button !== 0) return;
    const element = event.target.closest(".region");
    if (element) {
      event.preventDefault();
      this.#drag(event, element, event.target.classList.contains("handle"));
      return;
    }
    if (!this.drawing) return;
    // A click on something else in the overlay is its own.
    const within = event.target.closest("button, [role=button]");
    if (!within) event.preventDefault();
    this.#draw(event, within);
  }

  // Follows a pointer until it is released; `moved` is called with its events, `ended` at the end.
  #follow(event, moved, ended) {
    const control = new AbortController();
    const { signal } = control;
    const of = (act) => (other) => {
      if (other.pointerId === event.pointerId) act(other);
    };
    window.addEventListener("pointermove", of(moved), { signal });
    for (const name of ["pointerup", "pointercancel"]) {
      window.addEventListener(name, of((ending) => {
        control.abort();
        ended(ending);
      }), { signal });
    }
  }

  #drag(event, element, resizing) {
    const index = Number(element.dataset.index);
    const from = this.#point(event);
    const before = copyOf(this.regions[index]);
    const box = bounds(before, this.size);
    const moved = (moving) => {
      const to = this.#point(moving);
      const [across, down] = [to[0] - from[0], to[1] - from[1]];
      const target = resizing
        ? { ...box, width: clamp(box.width + across, 0, 1 - box.left), height: clamp(box.height + down, 0, 1 - box.top) }
        : { ...box, left: box.left + across, top: box.top + down };
      this.regions[index] = Object.assign(this.regions[index], copyOf(before));
      this.#resize(index, target);
    };
    this.#follow(event, moved, () => this.layer.children[index]?.focus({ preventScroll: true }));
  }

  #draw(event, within) {
    if (this.corners.length) {
      const ended = (ending) => {
        if (within) ignoreNextClick(within);
        if (ending.type === "pointerup") this.#addCorner(ending);
      };
      this.#follow(event, () => {}, ended);
      return;
    }
    const points = [this.#point(event)];
    const [startX, startY] = [event.clientX, event.clientY];
    let started = !within;
    const isStroke = this.shape === "brush";
    const moved = (moving) => {
      started ||= Math.hypot(moving.clientX - startX, moving.clientY - startY) > CLICK_PX;
      if (!started) return;
      points.push(this.#point(moving));
      if (!this.draft.element.isConnected) this.overlay.append(this.draft.element);
      this.draft.update(this.#draftOf(points), this.size, isStroke ? this.brushWidth : 0);
    };
    const ended = (ending) => {
      this.draft.element.remove();
      const isClick = Math.hypot(ending.clientX - startX, ending.clientY - startY) <= CLICK_PX && points.length < 4;
      if (!within && isClick && this.shape === "polygon" && ending.type === "pointerup") this.#addCorner(ending);
      if (!started) return;
      if (within) ignoreNextClick(within);
      if (ending.type === "pointercancel") return;
      const region = this.#drawn(points);
      if (!region) return;
      const last = this.regions.at(-1);
      if (isStroke && continues(last, region.strokes[0])) {
        last.strokes.push(...region.strokes);
        this.#render();
        this.changed();
      } else if (!this.#append(region)) return;
      this.layer.lastElementChild.focus({ preventScroll: true });
    };
    this.#follow(event, moved, ended);
  }

  // A polygon by its corners: a click on the first one, a second click on the last one, or Enter closes it.
  #addCorner(event) {
    const point = this.#point(event);
    const box = this.overlay.getBoundingClientRect();
    const near = ([x, y]) => Math.hypot((x - point[0]) * box.width, (y - point[1]) * box.height) <= CORNER_PX;
    if (this.corners.length && (near(this.corners[0]) || near(this.corners.at(-1)))) {
      this.#closeCorners();
      return;
    }
    this.corners.push(point);
    if (this.corners.length === 1) {
      this.overlay.append(this.draft.element, this.firstCorner);
      [this.firstCorner.style.left, this.firstCorner.style.top] = point.map((share) => `${share * 100}%`);
      announce(translate("polygon_begun"));
      // Keys without a focused element.
      this.keys = new AbortController();
      document.addEventListener("keydown", (pressed) => this.#cornerKey(pressed), { signal: this.keys.signal });
      this.overlay.addEventListener(
        "pointermove",
        (moving) => this.draft.update([...this.corners, this.#point(moving)], this.size),
        { signal: this.keys.signal },
      );
    }
    this.draft.update(this.corners, this.size);
  }

  #cornerKey(event) {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Escape") this.cancelDrawing();
    else this.#closeCorners();
  }

  #closeCorners() {
    const region = polygonAround(this.corners, this.size);
    this.cancelDrawing();
    if (region && this.#append(region)) this.layer.lastElementChild.focus({ preventScroll: true });
  }

  // Forgets a polygon of which only some corners are set.
  cancelDrawing() {
    this.keys?.abort();
    this.corners = [];
    this.draft.element.remove();
    this.firstCorner.remove();
  }

  // The line to show while a pointer draws.
  #draftOf(points) {
    if (this.shape === "brush" || this.shape === "polygon") return points;
    const { left, top, width, height } = boxOf(points);
    return [[left, top], [left + width, top], [left + width, top + height], [left, top + height], [left, top]];
  }

  // The region that a pointer has drawn, or null.
  #drawn(points) {
    if (this.shape === "brush") return { shape: "brush", strokes: [strokeAlong(points, this.brushWidth, this.size)] };
    if (this.shape === "polygon") return polygonAround(points, this.size);
    const box = boxOf(points);
    // Smaller is a click, not a region.
    return box.width < LEAST_DRAWN || box.height < LEAST_DRAWN ? null : { shape: this.shape, ...box };
  }

  #key(event) {
    const element = event.target.closest(".region");
    if (!element) return;
    const index = Number(element.dataset.index);
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.remove(index);
      return;
    }
    if (!ARROWS[event.key]) return;
    event.preventDefault();
    const box = bounds(this.regions[index], this.size);
    const [x, y] = ARROWS[event.key].map((part) => part * STEP);
    if (event.shiftKey) {
      const width = clamp(box.width + x, STEP, 1 - box.left);
      this.#resize(index, { ...box, width, height: clamp(box.height + y, STEP, 1 - box.top) });
    } else this.#resize(index, { ...box, left: box.left + x, top: box.top + y });
  }
}

function boxOf(points) {
  const [[x1, y1], [x2, y2]] = [points[0], points.at(-1)];
  return { left: Math.min(x1, x2), top: Math.min(y1, y2), width: Math.abs(x2 - x1), height: Math.abs(y2 - y1) };
}

function pointsOf(region) {
  if (region.shape === "polygon") return region.points.length;
  return region.shape === "brush" ? region.strokes.reduce((sum, stroke) => sum + stroke.points.length, 0) : 0;
}

// A drag that began on an element ends with a click on it.
function ignoreNextClick(element) {
  const ignore = (event) => {
    event.stopImmediatePropagation();
    event.preventDefault();
  };
  element.addEventListener("click", ignore, { capture: true, once: true });
  setTimeout(() => element.removeEventListener("click", ignore, { capture: true }));
}
