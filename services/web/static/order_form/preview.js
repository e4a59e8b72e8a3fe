// The preview: the selected image at screen size, with the effect in its regions.

import { applyEffect } from "./effects.js";

const LONGEST = 1000;

export class Preview {
  constructor(canvas) {
    this.canvas = canvas;
    this.original = null;
    this.effect = null;
    this.key = "";
    this.scheduled = 0;
    this.showsOriginal = false;
  }

  // Returns whether the browser can show the file; `size` is then its full size.
  async load(file) {
    this.original = this.effect = null;
    this.key = "";
    this.file = file;
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    } catch {
      return false;
    }
    if (this.file !== file) {
      bitmap.close(); // another image was selected meanwhile
      return false;
    }
    this.size = { width: bitmap.width, height: bitmap.height };
    const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    const width = Math.max(1, Math.round(bitmap.width * scale));
    const height = Math.max(1, Math.round(bitmap.height * scale));
    this.canvas.width = width;
    this.canvas.height = height;
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    this.original = context.getImageData(0, 0, width, height);
    return true;
  }

  // spec: effect, strength, color, finds (something, which the preview does not know), regions, outside. Several calls before the next frame draw once.
  draw(spec) {
    this.spec = spec;
    if (this.scheduled || !this.original) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = 0;
      this.#draw();
    });
  }

  #draw() {
    const { spec, original, canvas } = this;
    if (!original) return;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (this.showsOriginal) {
      context.putImageData(original, 0, 0);
      return;
    }
    const key = JSON.stringify([spec.effect, spec.strength, spec.color]);
    if (key !== this.key) {
      this.effect = applyEffect(original, spec);
      this.key = key;
    }
    if (!spec.regions.length) {
      context.putImageData(spec.finds ? original : this.effect, 0, 0);
      return;
    }
    const [below, above] = spec.outside ? [this.effect, original] : [original, this.effect];
    context.putImageData(below, 0, 0);
    context.save();
    context.beginPath();
    for (const region of spec.regions) {
      const left = region.left * canvas.width;
      const top = region.top * canvas.height;
      const width = region.width * canvas.width;
      const height = region.height * canvas.height;
      if (region.shape === "ellipse") {
        context.moveTo(left + width, top + height / 2);
        context.ellipse(left + width / 2, top + height / 2, width / 2, height / 2, 0, 0, 2 * Math.PI);
      } else {
        context.rect(left, top, width, height);
      }
    }
    context.clip();
    const layer = new OffscreenCanvas(canvas.width, canvas.height);
    layer.getContext("2d").putImageData(above, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(layer, 0, 0);
    context.restore();
  }
}
