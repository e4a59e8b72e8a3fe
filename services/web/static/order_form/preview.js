// The preview: the selected image at screen size, with the effect in its regions.

import { paintRegion } from "../shared/regions/shapes.js";
import { applyEffect, redactRegion } from "./effects.js";

const LONGEST = 1200;
// The server hides a face by a Gaussian of at least this part of its height, or by cells of that size.
const FACE_PARTS = 4;

export class Preview {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
    this.scheduled = 0;
    this.showsOriginal = false;
  }

  // Shows nothing until the next picture.
  clear() {
    this.original = this.effect = this.source = null;
    this.key = "";
  }

  // Shows a picture (a blob) of an image of this size; returns whether the browser can show it. A later call wins.
  async load(blob, size = null) {
    this.source = blob;
    this.original = this.effect = null;
    this.key = "";
    let bitmap;
    try {
      bitmap = await createImageBitmap(blob);
    } catch {
      return false;
    }
    if (this.source !== blob) {
      bitmap.close(); // another image was selected meanwhile
      return false;
    }
    this.size = size ?? { width: bitmap.width, height: bitmap.height };
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

  // spec: effect, strength, color, finds (whether only what is found is hidden), regions, found (those that are hidden),
  // padding and feather of the regions, outside. Several calls before the next frame draw once.
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
    context.putImageData(original, 0, 0);
    const somewhere = spec.regions.length + spec.found.length > 0;
    if (this.showsOriginal || (spec.finds && !somewhere)) return;
    if (!somewhere) {
      context.putImageData(this.#whole(), 0, 0);
      return;
    }
    const mask = this.#mask(spec);
    const layer = new OffscreenCanvas(canvas.width, canvas.height);
    const over = layer.getContext("2d");
    if (spec.effect === "redact" && !spec.outside) {
      const hidden = mask.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const grow = (spec.padding + spec.feather) * Math.min(canvas.width, canvas.height);
      for (const region of spec.found) redactRegion(over, original, hidden, region, canvas, 0);
      for (const region of spec.regions) redactRegion(over, original, hidden, region, canvas, grow);
    } else {
      over.putImageData(this.#whole(), 0, 0);
      if (!spec.outside) for (const face of spec.found) this.#strengthen(over, face);
    }
    over.globalCompositeOperation = spec.outside ? "destination-out" : "destination-in";
    over.drawImage(mask, 0, 0);
    // What is below would shine through a transparent effect.
    context.globalCompositeOperation = spec.outside ? "destination-in" : "destination-out";
    context.drawImage(mask, 0, 0);
    context.globalCompositeOperation = "lighter"; // the sum of both shares
    context.drawImage(layer, 0, 0);
    context.globalCompositeOperation = "source-over";
  }

  // Draws a face as the server hides it where the effect is too weak for its size.
  #strengthen(context, { kind, box, ...region }) {
    const { effect, strength } = this.spec;
    const least = (box.height * this.canvas.height) / FACE_PARTS;
    const amount = (strength / 100) * Math.min(this.canvas.width, this.canvas.height);
    if (kind !== "faces" || !["gaussian", "pixelate"].includes(effect) || amount >= least) return;
    const left = Math.floor(region.left * this.canvas.width);
    const top = Math.floor(region.top * this.canvas.height);
    const width = Math.max(1, Math.ceil(region.width * this.canvas.width));
    const height = Math.max(1, Math.ceil(region.height * this.canvas.height));
    const cropped = this.canvas.getContext("2d").getImageData(left, top, width, height);
    const shown = applyEffect(cropped, { ...this.spec, strength: (100 * least) / Math.min(width, height) });
    context.putImageData(shown, left, top);
  }

  // The whole picture with the effect.
  #whole() {
    const { effect, strength, color } = this.spec;
    const key = JSON.stringify([effect, strength, color]);
    if (key !== this.key) {
      this.effect = applyEffect(this.original, this.spec);
      this.key = key;
    }
    return this.effect;
  }

  // How much of the effect each pixel gets, as the opacity of a canvas.
  #mask({ regions, found, padding, feather }) {
    const mask = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    const context = mask.getContext("2d");
    const shorter = Math.min(mask.width, mask.height);
    for (const region of found) paintRegion(context, region, mask);
    if (feather && "filter" in context) {
      // A soft edge outside the outline: half of it is inside what is blurred.
      context.filter = `blur(${(feather * shorter) / 3}px)`;
      for (const region of regions) paintRegion(context, region, mask, (padding + feather / 2) * shorter);
      context.filter = "none";
    }
    for (const region of regions) paintRegion(context, region, mask, padding * shorter);
    return mask;
  }
}
