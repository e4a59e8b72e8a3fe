// Regions on the preview: drawn by mouse, touch and pen, edited by keyboard and as numbers in a list.

import { announce, translate } from "../shared/texts.js";

const MIN_SIZE = 0.01;
const STEP = 0.01;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const percent = (value) => Math.round(value * 1000) / 10;

function fit(region) {
  region.width = clamp(region.width, MIN_SIZE, 1);
  region.height = clamp(region.height, MIN_SIZE, 1);
  region.left = clamp(region.left, 0, 1 - region.width);
  region.top = clamp(region.top, 0, 1 - region.height);
}

export class RegionEditor {
  // `changed` is called after every change of the regions.
  constructor({ stage, overlay, list, changed }) {
    this.stage = stage;
    this.overlay = overlay;
    this.list = list;
    this.changed = changed;
    this.shape = "box";
    this.regions = [];
    overlay.addEventListener("pointerdown", (event) => this.#begin(event));
    overlay.addEventListener("keydown", (event) => this.#key(event));
  }

  set drawing(value) {
    this.stage.classList.toggle("drawing", value);
  }

  get drawing() {
    return this.stage.classList.contains("drawing");
  }

  show(regions) {
    this.regions = regions;
    this.#render();
  }

  add(region = { left: 0.35, top: 0.35, width: 0.3, height: 0.3 }) {
    this.regions.push({ shape: this.shape, ...region });
    this.#render();
    this.changed();
    this.overlay.lastElementChild.focus();
    announce(translate("region_added", { shape: translate(this.shape) }));
  }

  remove(index) {
    const [region] = this.regions.splice(index, 1);
    this.#render();
    this.changed();
    announce(translate("region_removed", { shape: translate(region.shape) }));
    const next = this.overlay.children[Math.min(index, this.regions.length - 1)];
    (next ?? document.getElementById("add-region")).focus();
  }

  #render() {
    this.overlay.replaceChildren(...this.regions.map((region, index) => this.#outline(region, index)));
    this.list.replaceChildren(...this.regions.map((region, index) => this.#row(region, index)));
  }

  #outline(region, index) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = `region ${region.shape}`;
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
    for (const side of ["left", "top", "width", "height"]) element.style[side] = `${region[side] * 100}%`;
    element.setAttribute("aria-label", this.#describe("region", region, index));
  }

  #describe(key, region, index) {
    return translate(key, {
      shape: translate(region.shape),
      n: index + 1,
      left: percent(region.left),
      top: percent(region.top),
      width: percent(region.width),
      height: percent(region.height),
    });
  }

  #row(region, index) {
    const row = document.createElement("li");
    const title = document.createElement("strong");
    title.textContent = `${translate(region.shape)} ${index + 1}`;
    row.append(title);
    for (const side of ["left", "top", "width", "height"]) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "number", min: 0, max: 100, step: 0.1, value: percent(region[side]) });
      input.dataset.side = side;
      input.addEventListener("change", () => {
        region[side] = (Number(input.value) || 0) / 100;
        fit(region);
        this.#moved(index);
      });
      label.append(translate(side), input);
      row.append(label);
    }
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", translate("remove_region", { shape: translate(region.shape), n: index + 1 }));
    remove.addEventListener("click", () => this.remove(index));
    row.append(remove);
    return row;
  }

  #moved(index) {
    const region = this.regions[index];
    this.#place(this.overlay.children[index], region, index);
    for (const input of this.list.children[index].querySelectorAll("input")) {
      input.value = percent(region[input.dataset.side]);
    }
    this.changed();
  }

  #point(event) {
    const box = this.overlay.getBoundingClientRect();
    return {
      x: clamp((event.clientX - box.left) / box.width, 0, 1),
      y: clamp((event.clientY - box.top) / box.height, 0, 1),
    };
  }

  #begin(event) {
    if (event.button !== 0) return;
    const element = event.target.closest(".region");
    if (!element && !this.drawing) return;
    event.preventDefault();
    const from = this.#point(event);
    const index = element ? Number(element.dataset.index) : this.regions.length;
    const resizing = event.target.classList.contains("handle");
    if (!element) {
      this.regions.push({ shape: this.shape, left: from.x, top: from.y, width: 0, height: 0 });
      this.#render();
    }
    const region = this.regions[index];
    const was = { ...region };
    const move = (moving) => {
      if (moving.pointerId !== event.pointerId) return;
      const to = this.#point(moving);
      if (!element) {
        region.left = Math.min(from.x, to.x);
        region.top = Math.min(from.y, to.y);
        region.width = Math.abs(to.x - from.x);
        region.height = Math.abs(to.y - from.y);
      } else if (resizing) {
        region.width = clamp(was.width + to.x - from.x, MIN_SIZE, 1 - was.left);
        region.height = clamp(was.height + to.y - from.y, MIN_SIZE, 1 - was.top);
      } else {
        region.left = was.left + to.x - from.x;
        region.top = was.top + to.y - from.y;
        fit(region);
      }
      this.#moved(index);
    };
    const end = (ending) => {
      if (ending.pointerId !== event.pointerId) return;
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      if (!element && (region.width < 0.015 || region.height < 0.015)) {
        this.regions.splice(index, 1); // a click, not a region
        this.#render();
        this.changed();
        return;
      }
      this.overlay.children[index].focus({ preventScroll: true });
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }

  #key(event) {
    const element = event.target.closest(".region");
    if (!element) return;
    const index = Number(element.dataset.index);
    const region = this.regions[index];
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.remove(index);
      return;
    }
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!direction) return;
    event.preventDefault();
    const [x, y] = direction.map((part) => part * STEP);
    if (event.shiftKey) {
      region.width = clamp(region.width + x, MIN_SIZE, 1 - region.left);
      region.height = clamp(region.height + y, MIN_SIZE, 1 - region.top);
    } else {
      region.left += x;
      region.top += y;
      fit(region);
    }
    this.#moved(index);
  }
}
