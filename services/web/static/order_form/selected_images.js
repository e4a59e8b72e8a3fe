// The selected images: validation, and the strip that shows them.

import { formatSize, translate } from "../shared/texts.js";
import { thumbnail } from "./thumbnails.js";

const EXTENSIONS = /\.(jpe?g|jpe|jfif|a?png|webp|gif|tiff?|bmp|dib|avif|hei[cf]|hif)$/i;

export class SelectedImages {
  // `shown(image)` is called with the image of the preview, or null; `changed()` after other changes.
  constructor({ strip, limits, shown, changed }) {
    this.strip = strip;
    this.limits = limits;
    this.shown = shown;
    this.changed = changed;
    this.images = [];
    this.current = null;
  }

  get bytes() {
    return this.images.reduce((sum, image) => sum + image.file.size, 0);
  }

  get invalid() {
    return this.images.filter((image) => image.error);
  }

  // Returns how many files were added, and how many exceeded the limit.
  add(files) {
    const available = Math.max(0, this.limits.max_images - this.images.length);
    const added = [...files].slice(0, available).map((file) => this.#create(file));
    this.images.push(...added);
    this.strip.append(...added.map((image) => image.element));
    if (!this.current && this.images.length) this.select(this.images[0]);
    this.changed();
    return { added: added.length, leftOut: files.length - added.length };
  }

  select(image) {
    this.current?.element.querySelector(".thumb").setAttribute("aria-pressed", "false");
    this.current = image;
    image?.element.querySelector(".thumb").setAttribute("aria-pressed", "true");
    this.shown(image);
  }

  remove(image) {
    const index = this.images.indexOf(image);
    this.images.splice(index, 1);
    image.element.remove();
    if (image.thumbnail) URL.revokeObjectURL(image.thumbnail);
    const next = this.images[Math.min(index, this.images.length - 1)] ?? null;
    if (image === this.current) this.select(next);
    (next?.element.querySelector(".remove") ?? document.getElementById("files")).focus();
    this.changed();
  }

  clear() {
    for (const image of this.images) if (image.thumbnail) URL.revokeObjectURL(image.thumbnail);
    this.images = [];
    this.strip.replaceChildren();
    this.select(null);
    this.changed();
  }

  setError(image, error) {
    image.error = error;
    image.element.classList.toggle("bad", Boolean(error));
    const message = image.element.querySelector(".field-error");
    message.textContent = error ?? "";
    message.hidden = !error;
  }

  validate() {
    for (const image of this.images) this.setError(image, this.#validate(image.file));
  }

  showNotes(image) {
    const notes = [];
    if (image.own) notes.push(translate("own_effect"));
    if (image.regions.length) notes.push(translate("regions", { n: image.regions.length }));
    image.element.querySelector(".note").textContent = notes.length ? ` · ${notes.join(", ")}` : "";
  }

  #create(file) {
    const image = { file, regions: [], outside: false, own: null, error: null, thumbnail: null };
    image.element = this.#element(image);
    this.setError(image, this.#validate(file));
    thumbnail(file).then((url) => this.#showThumbnail(image, url));
    return image;
  }

  #validate(file) {
    if (!EXTENSIONS.test(file.name) && !file.type.startsWith("image/")) return translate("unsupported");
    if (!file.size) return translate("empty");
    if (file.size > this.limits.max_image_bytes) return translate("too_large", { size: formatSize(this.limits.max_image_bytes) });
    return null;
  }

  #element(image) {
    const element = document.createElement("li");
    const thumb = document.createElement("button");
    thumb.type = "button";
    thumb.className = "thumb";
    thumb.setAttribute("aria-pressed", "false");
    thumb.setAttribute("aria-label", translate("select", { name: image.file.name }));
    thumb.textContent = image.file.name.split(".").pop().slice(0, 5).toUpperCase();
    thumb.addEventListener("click", () => this.select(image));
    const caption = document.createElement("div");
    caption.className = "caption";
    const name = document.createElement("div");
    name.className = "name";
    name.textContent = image.file.name;
    const details = document.createElement("div");
    const note = document.createElement("span");
    note.className = "note";
    details.append(formatSize(image.file.size), note);
    const error = document.createElement("div");
    error.className = "field-error";
    error.hidden = true;
    caption.append(name, details, error);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.textContent = "×";
    remove.setAttribute("aria-label", translate("remove", { name: image.file.name }));
    remove.addEventListener("click", () => this.remove(image));
    element.append(thumb, caption, remove);
    return element;
  }

  #showThumbnail(image, url) {
    if (!url) return;
    if (!this.images.includes(image)) {
      URL.revokeObjectURL(url);
      return;
    }
    image.thumbnail = url;
    const picture = document.createElement("img");
    picture.src = url;
    picture.alt = "";
    image.element.querySelector(".thumb").replaceChildren(picture);
  }
}
