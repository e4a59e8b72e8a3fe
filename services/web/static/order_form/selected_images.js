// The selected images: validation, and the strip that shows them.

import { formatSize, translate } from "../shared/texts.js";
import { VirtualGrid } from "./virtual_grid.js";
import { Thumbnails } from "./thumbnails.js";

export class SelectedImages {
  // `shown(image)` is called with the image of the preview, or null; `picked()` when somebody has clicked on one;
  // `changed()` after other changes.
  constructor({ box, list, limits, shown, picked, changed }) {
    this.limits = limits;
    this.shown = shown;
    this.picked = picked;
    this.changed = changed;
    this.images = [];
    this.current = null;
    this.bytes = 0;
    this.thumbnails = new Thumbnails((image, url) => this.#showThumbnail(image, url));
    this.strip = new VirtualGrid({
      box,
      list,
      create: (image) => this.#element(image),
      shown: (image) => this.thumbnails.want(image),
      hidden: (image) => this.thumbnails.unwant(image),
    });
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  get invalid() {
    return this.images.filter((image) => image.error);
  }

  // Returns how many files were added, and how many exceeded the limit.
  add(files) {
    const available = Math.max(0, this.limits.max_images - this.images.length);
    const added = files.slice(0, available).map((file) => this.#create(file));
    for (const image of added) {
      this.images.push(image);
      this.bytes += image.file.size;
    }
    this.strip.show(this.images);
    if (!this.current && this.images.length) this.select(this.images[0]);
    this.changed();
    return { added: added.length, leftOut: files.length - added.length };
  }

  select(image) {
    const former = this.current;
    this.current = image;
    this.strip.keep(image);
    for (const each of [former, image]) if (each) this.#showPressed(each);
    this.shown(image);
  }

  remove(image) {
    const index = this.images.indexOf(image);
    this.#take([image]);
    const next = this.images[Math.min(index, this.images.length - 1)] ?? null;
    if (image === this.current) this.select(next);
    if (next) this.strip.reveal(next);
    const element = next && this.strip.elementOf(next);
    (element?.querySelector(".remove") ?? document.getElementById("files")).focus();
    this.changed();
  }

  removeInvalid() {
    this.#take(this.invalid);
    if (this.current?.removed) this.select(this.images[0] ?? null);
    this.changed();
  }

  clear() {
    this.#take(this.images);
    this.select(null);
    this.changed();
  }

  setError(image, error) {
    image.error = error;
    const element = this.strip.elementOf(image);
    if (element) this.#showError(image, element);
  }

  validate() {
    for (const image of this.images) this.setError(image, this.#validate(image.file));
  }

  showNotes(image) {
    const element = this.strip.elementOf(image);
    if (element) this.#showNotes(image, element);
  }

  // A picture (a blob) of an image that the browser itself cannot show.
  offerThumbnail(image, picture) {
    this.thumbnails.offer(image, picture);
  }

  // Scrolls until the image is in view.
  reveal(image) {
    this.strip.reveal(image);
    this.strip.elementOf(image)?.scrollIntoView({ block: "nearest" });
  }

  #create(file) {
    return { file, regions: [], outside: false, own: null, error: this.#validate(file), removed: false };
  }

  #take(images) {
    for (const image of images) {
      image.removed = true;
      this.bytes -= image.file.size;
      this.thumbnails.forget(image);
    }
    this.images = this.images.filter((image) => !image.removed);
    this.strip.show(this.images);
  }

  #validate(file) {
    if (!isImage(file)) return translate("unsupported");
    if (!file.size) return translate("empty");
    if (file.size > this.limits.max_image_bytes) return translate("too_large", { size: formatSize(this.limits.max_image_bytes) });
    return null;
  }

  #key(event) {
    if (!event.target.classList.contains("thumb") || !this.current) return;
    const index = this.images.indexOf(this.current);
    const last = this.images.length - 1;
    const { columns } = this.strip;
    const target = {
      ArrowRight: index + 1,
      ArrowLeft: index - 1,
      ArrowDown: index + columns,
      ArrowUp: index - columns,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Delete") {
      event.preventDefault();
      this.remove(this.current);
    } else if (target !== undefined) {
      event.preventDefault();
      this.select(this.images[Math.min(Math.max(target, 0), last)]);
      this.strip.reveal(this.current);
      this.strip.elementOf(this.current)?.querySelector(".thumb").focus({ preventScroll: true });
    }
  }

  #element(image) {
    const element = document.createElement("li");
    const thumb = document.createElement("button");
    thumb.type = "button";
    thumb.className = "thumb";
    thumb.setAttribute("aria-label", translate("select", { name: image.file.name }));
    thumb.textContent = image.file.name.split(".").pop().slice(0, 5).toUpperCase();
    thumb.addEventListener("click", () => {
      this.select(image);
      this.picked();
    });
    const caption = document.createElement("div");
    caption.className = "caption";
    const name = document.createElement("div");
    name.className = "name";
    name.textContent = name.title = image.file.name;
    const details = document.createElement("div");
    details.className = "details";
    const note = document.createElement("span");
    note.className = "note";
    details.append(formatSize(image.file.size), note);
    const error = document.createElement("div");
    error.className = "field-error";
    caption.append(name, details, error);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.textContent = "×";
    remove.setAttribute("aria-label", translate("remove", { name: image.file.name }));
    remove.addEventListener("click", () => this.remove(image));
    element.append(thumb, caption, remove);
    this.#showError(image, element);
    this.#showNotes(image, element);
    this.#showPressed(image, element);
    return element;
  }

  #showError(image, element) {
    element.classList.toggle("bad", Boolean(image.error));
    const error = element.querySelector(".field-error");
    error.textContent = error.title = image.error ?? "";
    error.hidden = !image.error;
    element.querySelector(".details").hidden = Boolean(image.error);
  }

  #showNotes(image, element) {
    const notes = [];
    if (image.own) notes.push(translate("own_effect"));
    if (image.leftOut?.any) notes.push(translate("some_left_visible"));
    if (image.regions.length) notes.push(translate("regions", { n: image.regions.length }));
    element.querySelector(".note").textContent = notes.length ? ` · ${notes.join(", ")}` : "";
  }

  // Tab leads to the image of the preview, arrow keys from there to the others.
  #showPressed(image, element = this.strip.elementOf(image)) {
    if (!element) return;
    const isCurrent = image === this.current;
    element.querySelector(".thumb").setAttribute("aria-pressed", isCurrent);
    for (const button of element.querySelectorAll("button")) button.tabIndex = isCurrent ? 0 : -1;
  }

  #showThumbnail(image, url) {
    const element = this.strip.elementOf(image);
    if (!element) return;
    const picture = document.createElement("img");
    picture.src = url;
    picture.alt = "";
    element.querySelector(".thumb").replaceChildren(picture);
  }
}

// Whether a file may be an image, by its name and type.
export function isImage(file) {
  if (file.type.startsWith("image/")) return true;
  const extensions = document.getElementById("files").accept.split(",").filter((part) => part.startsWith("."));
  const name = file.name.toLowerCase();
  return extensions.some((extension) => name.endsWith(extension));
}
