// Names the files that cannot be used, and why; one button leaves them out and sends the others.

import { announce, translate } from "../shared/texts.js";

const NAMED = 5;
const element = (id) => document.getElementById(id);

export class BadFiles {
  // `leftOut()` is called when they were left out.
  constructor({ selected, leftOut }) {
    this.selected = selected;
    element("leave-out").addEventListener("click", () => {
      selected.removeInvalid();
      leftOut();
    });
  }

  // Shows those that are selected; returns how many.
  show() {
    const bad = this.selected.invalid;
    const n = bad.length;
    element("bad-files").hidden = !n;
    if (!n) return 0;
    element("bad-files-text").textContent = translate("bad_files", { n });
    const items = bad.slice(0, NAMED).map(({ file, error }) => {
      const item = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = file.name;
      item.append(name, `: ${error}`);
      return item;
    });
    if (n > NAMED) {
      const item = document.createElement("li");
      item.textContent = translate("bad_files_more", { n: n - NAMED });
      items.push(item);
    }
    element("bad-files-list").replaceChildren(...items);
    const others = this.selected.images.length - n;
    element("leave-out").textContent = others ? translate("leave_out_files", { n: others }) : translate("remove_bad", { n });
    return n;
  }

  // Leads to the button: the visitor has wanted to send the order.
  ask() {
    announce(`${element("bad-files").innerText} ${element("leave-out").textContent}`);
    element("leave-out").focus();
  }
}
