// What was found in a picture, as switches over it: hidden, or left out.

import { announce, translate } from "../texts.js";
import { MAX_EXCLUDED } from "./found.js";
import { makeOutline, place } from "./outlines.js";

export class FoundBoxes {
  // `changed` is called after every change of what is left out, `refused(text)` if it would be too much.
  constructor({ overlay, changed, refused = announce }) {
    this.layer = document.createElement("div");
    this.layer.className = "layer";
    overlay.prepend(this.layer);
    this.changed = changed;
    this.refused = refused;
    this.findings = [];
    this.layer.addEventListener("click", (event) => this.#toggle(event.target.closest(".finding")));
    this.layer.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.#toggle(event.target.closest(".finding"));
    });
  }

  // leftOut: a `LeftOut`, which is changed in place.
  show(findings, leftOut, size) {
    // The smallest on top, or they could not be reached.
    this.findings = [...findings].sort((one, other) => other.width * other.height - one.width * one.height);
    this.leftOut = leftOut;
    this.layer.replaceChildren(...this.findings.map((finding, index) => this.#box(finding, index, size)));
    this.refresh();
  }

  // Shows what is left out now.
  refresh() {
    this.findings.forEach((finding, index) => {
      const hidden = !this.leftOut.has(finding);
      const element = this.layer.children[index];
      element.setAttribute("aria-pressed", hidden);
      element.title = translate(hidden ? "leave_out" : "hide_again");
    });
  }

  #box(finding, index, size) {
    const element = makeOutline("finding", finding);
    element.dataset.index = index;
    const label = translate(`found_${finding.kind || "other"}`);
    element.setAttribute("aria-label", translate("finding", { label, n: index + 1 }));
    const mark = document.createElement("span");
    mark.className = "mark-out";
    element.append(mark);
    place(element, finding, size);
    return element;
  }

  #toggle(element) {
    const finding = this.findings[element?.dataset.index];
    if (!finding) return;
    if (!this.leftOut.toggle(finding, this.findings)) {
      this.refused(translate("too_many_left_out", { n: MAX_EXCLUDED }));
      return;
    }
    this.refresh();
    announce(translate(this.leftOut.has(finding) ? "is_left_out" : "is_hidden_again"));
    this.changed();
  }
}
