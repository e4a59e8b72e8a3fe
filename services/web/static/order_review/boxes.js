// What is hidden in an image: switches in a list, and the same as boxes over the picture.

import { translate } from "../shared/texts.js";

const SIDES = ["left", "top", "width", "height"];

export class Boxes {
  // `changed` is called after every change.
  constructor({ overlay, list, changed }) {
    this.layer = document.createElement("div");
    this.layer.className = "layer marks";
    overlay.prepend(this.layer);
    this.list = list;
    this.changed = changed;
    this.layer.addEventListener("click", (event) => {
      const index = event.target.closest("button")?.dataset.index;
      if (index !== undefined) this.toggle(Number(index));
    });
    list.addEventListener("change", (event) => this.#set(Number(event.target.dataset.index), event.target.checked));
  }

  // edit: the switches of the image, which are changed in place.
  show(image, edit, editable) {
    this.image = image;
    this.edit = edit;
    this.editable = editable;
    this.list.replaceChildren(...image.boxes.map((box, index) => this.#row(box, index)));
    const largestFirst = image.boxes.map((box, index) => [box, index]).sort(([one], [other]) => area(other) - area(one));
    this.layer.replaceChildren(
      ...largestFirst.map(([box, index]) => this.#mark(box, index)),
      ...image.remaining.map((rect) => place(Object.assign(document.createElement("span"), { className: "remaining" }), rect)),
    );
    this.#refresh();
  }

  toggle(index) {
    if (this.editable && index < this.edit.on.length) this.#set(index, !this.edit.on[index]);
  }

  // Leaves everything, or if nothing is hidden, hides everything.
  toggleAll() {
    if (!this.editable || !this.edit.on.length) return;
    this.edit.on.fill(!this.edit.on.some(Boolean));
    this.#refresh();
    this.changed();
  }

  #set(index, on) {
    this.edit.on[index] = on;
    this.#refresh();
    this.changed(translate(on ? "review_hides" : "review_leaves", { name: this.image.boxes[index].label }));
  }

  #refresh() {
    for (const input of this.list.querySelectorAll("input")) input.checked = this.edit.on[input.dataset.index];
    for (const mark of this.layer.querySelectorAll("button")) mark.classList.toggle("off", !this.edit.on[mark.dataset.index]);
  }

  #row(box, index) {
    const row = document.createElement("li");
    const label = document.createElement("label");
    label.className = "check";
    const input = Object.assign(document.createElement("input"), { type: "checkbox", disabled: !this.editable });
    input.dataset.index = index;
    const text = document.createElement("span");
    text.textContent = `${box.number}. ${box.label}`;
    label.append(input, text);
    if (box.unsure) {
      const note = Object.assign(document.createElement("span"), { className: "doubt unsure", textContent: translate("review_unsure") });
      label.append(note);
    }
    label.addEventListener("pointerenter", () => this.#markOf(index)?.classList.add("hot"));
    label.addEventListener("pointerleave", () => this.#markOf(index)?.classList.remove("hot"));
    row.append(label);
    return row;
  }

  #markOf(index) {
    return this.layer.querySelector(`[data-index="${index}"]`);
  }

  // For the pointer only: the list has the same for keyboards and screen readers.
  #mark(box, index) {
    const mark = document.createElement("button");
    Object.assign(mark, { type: "button", tabIndex: -1, title: box.label, className: `mark-box${box.round ? " round" : ""}` });
    mark.setAttribute("aria-hidden", "true");
    mark.dataset.index = index;
    mark.append(Object.assign(document.createElement("span"), { className: "label", textContent: box.number }));
    return place(mark, box.rect);
  }
}

const area = (box) => box.rect[2] * box.rect[3];

function place(mark, rect) {
  SIDES.forEach((side, index) => (mark.style[side] = `${rect[index] * 100}%`));
  return mark;
}
