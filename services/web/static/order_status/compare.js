// Before and after on top of each other. "Before" is drawn by the server or, where it keeps no original, the file on this
// device.

export class Compare {
  constructor(originals) {
    this.originals = originals; // files by position
    this.dialog = document.getElementById("compare");
    this.before = document.getElementById("compare-before");
    this.after = document.getElementById("compare-after");
    this.slider = document.getElementById("compare-slider");
    this.divider = document.getElementById("compare-divider");
    this.slider.addEventListener("input", () => this.#slide());
    document.getElementById("compare-close").addEventListener("click", () => this.dialog.close());
    document.getElementById("compare-file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      if (!file) return;
      this.originals.set(this.position, file);
      this.#showBefore(file, "");
    });
    this.dialog.addEventListener("close", () => {
      URL.revokeObjectURL(this.before.src);
      this.before.removeAttribute("src");
      this.after.removeAttribute("src");
    });
    const stage = document.getElementById("compare-stage");
    const follow = (event) => {
      if (this.slider.hidden || !event.buttons) return;
      const box = this.after.getBoundingClientRect();
      this.slider.value = (100 * (event.clientX - box.left)) / box.width;
      this.#slide();
    };
    stage.addEventListener("pointerdown", follow);
    stage.addEventListener("pointermove", follow);
    addEventListener("resize", () => this.#slide());
    for (const image of [this.before, this.after]) image.addEventListener("load", () => this.#slide());
  }

  // drawn: the address of the original as the server draws it; empty if it keeps none.
  open(position, name, address, drawn = "") {
    this.position = position;
    document.getElementById("compare-title").textContent = name;
    this.after.src = address;
    this.#showBefore(this.originals.get(position), drawn);
    this.dialog.showModal();
    (this.slider.hidden ? document.getElementById("compare-close") : this.slider).focus();
  }

  #showBefore(file, drawn) {
    const known = Boolean(file || drawn);
    for (const part of [this.before, this.slider, this.divider]) part.hidden = !known;
    document.getElementById("compare-slider-label").hidden = !known;
    document.getElementById("tag-before").hidden = !known;
    document.getElementById("compare-no-original").hidden = known;
    if (!known) return;
    this.before.src = drawn || URL.createObjectURL(file);
    this.slider.value = 50;
    this.#slide();
  }

  #slide() {
    if (this.slider.hidden || !this.after.complete) return;
    const share = Number(this.slider.value);
    const after = this.after.getBoundingClientRect();
    const stage = document.getElementById("compare-stage").getBoundingClientRect();
    // Aligned even if the result has another size.
    this.before.style.width = `${after.width}px`;
    this.before.style.height = `${after.height}px`;
    this.before.style.clipPath = `inset(0 ${100 - share}% 0 0)`;
    this.divider.style.left = `${after.left - stage.left + (after.width * share) / 100}px`;
  }
}
