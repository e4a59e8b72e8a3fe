// Thumbnails of the images in view: made for those alone, two at a time, and kept for the last few hundred.

import { drawThumbnail } from "./draw_thumbnail.js";

const AT_ONCE = 2;
const KEPT = 400;
const LATE = 5000; // milliseconds

export class Thumbnails {
  #show;
  #wanted = new Set(); // in the order in which they came into view
  #made = new Map(); // image to URL, null for a format that the browser does not support; the last used at the end
  #offered = new WeakMap(); // image to its picture by the server
  #working = 0;

  // `show(image, url)` is called with each thumbnail.
  constructor(show) {
    this.#show = show;
  }

  // The image has come into view.
  want(image) {
    if (this.#made.has(image)) {
      const url = this.#made.get(image);
      this.#made.delete(image);
      this.#made.set(image, url);
      if (url) this.#show(image, url);
      return;
    }
    this.#wanted.add(image);
    if (this.#working < AT_ONCE) this.#work();
  }

  // The image is in view no longer.
  unwant(image) {
    this.#wanted.delete(image);
  }

  // The image was removed.
  forget(image) {
    this.#wanted.delete(image);
    const url = this.#made.get(image);
    if (url) URL.revokeObjectURL(url);
    this.#made.delete(image);
  }

  // A picture (a blob) by the server: for an image that the browser cannot show.
  async offer(image, picture) {
    this.#offered.set(image, picture);
    if (this.#made.get(image) !== null) return;
    const url = await make(picture);
    if (!url) return;
    if (image.removed) {
      URL.revokeObjectURL(url);
      return;
    }
    this.#made.set(image, url);
    this.#show(image, url);
  }

  async #work() {
    this.#working += 1;
    while (this.#wanted.size) {
      const [image] = this.#wanted;
      this.#wanted.delete(image);
      let url = await make(image.file);
      if (!url && this.#offered.has(image)) url = await make(this.#offered.get(image));
      if (image.removed) {
        if (url) URL.revokeObjectURL(url);
        continue;
      }
      this.#made.set(image, url);
      if (url) this.#show(image, url);
      this.#dropOldest();
    }
    this.#working -= 1;
  }

  #dropOldest() {
    if (this.#made.size <= KEPT) return;
    const [image] = this.#made.keys();
    const url = this.#made.get(image);
    if (url) URL.revokeObjectURL(url);
    this.#made.delete(image);
  }
}

async function make(file) {
  const blob = await (workshop ??= new Workshop()).draw(file);
  return blob && URL.createObjectURL(blob);
}

let workshop = null;

// The worker that draws; without one, the page draws itself.
class Workshop {
  #worker = null;
  #waiting = new Map(); // numbers of requests to the functions that take their results
  #count = 0;

  constructor() {
    try {
      this.#worker = new Worker(new URL("./thumbnail_worker.js", import.meta.url), { type: "module" });
    } catch {
      return; // a browser without modules in workers
    }
    this.#worker.addEventListener("message", ({ data: { id, blob } }) => this.#settle(id, blob));
    this.#worker.addEventListener("error", () => this.#giveUp());
  }

  // What the worker could not draw, or not in time, the page draws: memory or processor time were short, perhaps.
  async draw(file) {
    if (this.#worker) {
      const late = setTimeout(() => this.#giveUp(), LATE);
      const blob = await this.#ask(file);
      clearTimeout(late);
      if (blob) return blob;
    }
    return drawThumbnail(file);
  }

  #ask(file) {
    return new Promise((resolve) => {
      this.#count += 1;
      this.#waiting.set(this.#count, resolve);
      this.#worker.postMessage({ id: this.#count, file });
    });
  }

  #settle(id, blob) {
    this.#waiting.get(id)?.(blob);
    this.#waiting.delete(id);
  }

  #giveUp() {
    this.#worker?.terminate();
    this.#worker = null;
    for (const resolve of this.#waiting.values()) resolve(null);
    this.#waiting.clear();
  }
}
