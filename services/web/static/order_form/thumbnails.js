// Thumbnails of the images in view: made for those alone, two at a time, and kept for the last few hundred.

const WIDTH = 320;
const AT_ONCE = 2;
const KEPT = 400;

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
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, WIDTH / bitmap.width);
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/webp", 0.8));
    return blob && URL.createObjectURL(blob);
  } catch {
    return null; // a format that the browser does not support, such as TIFF
  }
}
