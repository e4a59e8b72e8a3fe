// The images that were chosen: which of them can be sent, and the strip that shows them.

import { thumbnail } from "./thumbnails.js";
import { say, size } from "./words.js";

const ENDINGS = /\.(jpe?g|jpe|jfif|a?png|webp|gif|tiff?|bmp|dib|avif)$/i;

export class Chosen {
  // `selected(image)` is called with the image of the preview, or null; `changed()` after everything else.
  constructor({ strip, limits, selected, changed }) {
    this.strip = strip;
    this.limits = limits;
    this.selected = selected;
    this.changed = changed;
    this.images = [];
    this.current = null;
  }

  get bytes() {
    return this.images.reduce((sum, image) => sum + image.file.size, 0);
  }

  get refused() {
    return this.images.filter((image) => image.problem);
  }

  // How many were added, and whether some had to be left out.
  add(files) {
    const room = Math.max(0, this.limits.max_images - this.images.length);
    const added = [...files].slice(0, room).map((file) => this.#image(file));
    this.images.push(...added);
    this.strip.append(...added.map((image) => image.element));
    if (!this.current && this.images.length) this.select(this.images[0]);
    this.changed();
    return { added: added.length, left: files.length - added.length };
  }

  select(image) {
    this.current?.element.querySelector(".thumb").setAttribute("aria-pressed", "false");
    this.current = image;
    image?.element.querySelector(".thumb").setAttribute("aria-pressed", "true");
    this.selected(image);
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

  tell(image, problem) {
    image.problem = problem;
    image.element.classList.toggle("bad", Boolean(problem));
    const wrong = image.element.querySelector(".wrong");
    wrong.textContent = problem ?? "";
    wrong.hidden = !problem;
  }

  judge() {
    for (const image of this.images) this.tell(image, this.#judge(image.file));
  }

  note(image) {
    const notes = [];
    if (image.own) notes.push(say("own"));
    if (image.regions.length) notes.push(say("regions", { n: image.regions.length }));
    image.element.querySelector(".note").textContent = notes.length ? ` · ${notes.join(", ")}` : "";
  }

  #image(file) {
    const image = { file, regions: [], outside: false, own: null, problem: null, thumbnail: null };
    image.element = this.#element(image);
    this.tell(image, this.#judge(file));
    thumbnail(file).then((url) => this.#picture(image, url));
    return image;
  }

  #judge(file) {
    if (!ENDINGS.test(file.name) && !file.type.startsWith("image/")) return say("not_image");
    if (!file.size) return say("empty");
    if (file.size > this.limits.max_image_bytes) return say("too_large", { size: size(this.limits.max_image_bytes) });
    return null;
  }

  #element(image) {
    const element = document.createElement("li");
    const thumb = document.createElement("button");
    thumb.type = "button";
    thumb.className = "thumb";
    thumb.setAttribute("aria-pressed", "false");
    thumb.setAttribute("aria-label", say("choose", { name: image.file.name }));
    thumb.textContent = image.file.name.split(".").pop().slice(0, 5).toUpperCase();
    thumb.addEventListener("click", () => this.select(image));
    const caption = document.createElement("div");
    caption.className = "caption";
    const name = document.createElement("div");
    name.className = "name";
    name.textContent = image.file.name;
    const about = document.createElement("div");
    const note = document.createElement("span");
    note.className = "note";
    about.append(size(image.file.size), note);
    const wrong = document.createElement("div");
    wrong.className = "wrong";
    wrong.hidden = true;
    caption.append(name, about, wrong);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.textContent = "×";
    remove.setAttribute("aria-label", say("remove", { name: image.file.name }));
    remove.addEventListener("click", () => this.remove(image));
    element.append(thumb, caption, remove);
    return element;
  }

  #picture(image, url) {
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
