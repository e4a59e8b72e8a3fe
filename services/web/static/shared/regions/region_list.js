// Regions as numbers: the box around each, in per cent of the picture.

import { formatNumber, parseNumber, translate } from "../texts.js";
import { bounds } from "./shapes.js";

const SIDES = ["left", "top", "width", "height"];

export class RegionList {
  // `resized(index, box)` is called when a number was changed, `removed(index)` to remove a region.
  constructor({ list, resized, removed }) {
    this.list = list;
    this.resized = resized;
    this.removed = removed;
  }

  show(regions, size) {
    this.list.replaceChildren(...regions.map((region, index) => this.#row(region, index, size)));
  }

  firstInput(index) {
    return this.list.children[index].querySelector("input");
  }

  update(index, region, size) {
    this.#fill(this.list.children[index].querySelectorAll("input"), region, size);
  }

  // Shows the numbers for another size of the picture, but for one that somebody writes.
  resize(regions, size) {
    regions.forEach((region, index) => this.#fill(this.list.children[index].querySelectorAll("input:not(:focus)"), region, size));
  }

  #fill(inputs, region, size) {
    const box = bounds(region, size);
    for (const input of inputs) input.value = formatNumber(box[input.dataset.side] * 100, 1);
  }

  #row(region, index, size) {
    const row = document.createElement("li");
    const title = document.createElement("strong");
    title.textContent = `${translate(region.shape)} ${index + 1}`;
    row.append(title);
    const box = bounds(region, size);
    for (const side of SIDES) row.append(this.#field(row, index, side, box[side]));
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", translate("remove_region", { shape: translate(region.shape), n: index + 1 }));
    remove.addEventListener("click", () => this.removed(index));
    row.append(remove);
    return row;
  }

  #field(row, index, side, share) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    // Not of type number, which browsers show in their own language instead of that of the page.
    Object.assign(input, { type: "text", inputMode: "decimal", autocomplete: "off", value: formatNumber(share * 100, 1) });
    input.dataset.side = side;
    input.addEventListener("change", () => {
      const to = {};
      for (const other of row.querySelectorAll("input")) to[other.dataset.side] = (parseNumber(other.value) || 0) / 100;
      this.resized(index, to);
    });
    input.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 1, ArrowDown: -1, Enter: 0 }[event.key];
      if (step === undefined) return;
      event.preventDefault(); // Enter confirms a number; it does not submit the form
      if (step) input.value = formatNumber((parseNumber(input.value) || 0) + step, 1);
      input.dispatchEvent(new Event("change"));
    });
    label.append(translate(side), input);
    return label;
  }
}
