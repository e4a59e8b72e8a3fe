// The picture: before with boxes, after, or both with a divider; zoomed.

import { formatNumber, translate } from "../shared/texts.js";

const PASSING_MS = 80;
const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const element = (id) => document.getElementById(id);

export class ImageViewer {
  constructor(pictures) {
    this.pictures = pictures;
    this.before = element("viewer-before");
    this.after = element("viewer-after");
    this.slider = element("viewer-slider");
    this.scroll = element("viewer-scroll");
    this.frame = element("viewer-stage");
    this.mode = "marks";
    this.zoom = 0;
    this.image = null;
    this.slider.addEventListener("input", () => this.#slide());
    for (const picture of [this.before, this.after]) picture.addEventListener("load", () => this.#fit());
    addEventListener("resize", () => this.#fit());
    element("zoom-in").addEventListener("click", () => this.zoomBy(1));
    element("zoom-out").addEventListener("click", () => this.zoomBy(-1));
    element("zoom-fit").addEventListener("click", () => this.zoomBy(0));
    this.scroll.addEventListener("dblclick", (event) => {
      if (!event.target.closest(".region")) this.zoomBy(this.zoom ? 0 : 2);
    });
  }

  get hasBefore() {
    return Boolean(this.before.getAttribute("src"));
  }

  // Shows an image; resolves when its pictures are there.
  async show(image, { keepsZoom = false } = {}) {
    this.image = image;
    if (!keepsZoom) this.zoom = 0;
    this.frame.classList.add("loading");
    // Who holds the key down passes images that need not be drawn.
    if (!this.pictures.has(image.before || image.after)) await new Promise((done) => setTimeout(done, PASSING_MS));
    if (this.image !== image) return;
    const [before, after] = await Promise.all([
      image.before && this.pictures.load(image.before),
      image.after && this.pictures.load(image.after),
    ]);
    if (this.image !== image) return;
    this.frame.classList.remove("loading");
    set(this.before, before);
    set(this.after, after);
    this.setMode(this.mode);
    this.#fit();
    if (this.zoom) await this.#sharpen();
  }

  setMode(mode) {
    this.mode = mode;
    const both = this.hasBefore && Boolean(this.after.getAttribute("src"));
    const shown = mode === "compare" && !both ? "after" : mode;
    this.before.hidden = !this.hasBefore || shown === "after";
    this.after.hidden = !this.after.getAttribute("src") || (shown === "marks" && this.hasBefore);
    element("viewer-compare").hidden = element("viewer-divider").hidden = shown !== "compare";
    this.frame.classList.toggle("marking", shown === "marks");
    const message = this.hasBefore || shown !== "marks" ? "" : translate(this.image.before ? "review_no_before" : "review_gone");
    element("viewer-message").textContent = this.after.hidden && this.before.hidden ? this.image.reason || message : message;
    element("viewer-message").hidden = !element("viewer-message").textContent;
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
    }
    this.#fit();
  }

  // Zooms in or out a step; 0: shows the whole picture.
  zoomBy(step) {
    const index = Math.min(Math.max(this.zoom + step, 0), ZOOMS.length - 1);
    this.zoom = step ? index : 0;
    const { scroll } = this;
    const center = [
      (scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth,
      (scroll.scrollTop + scroll.clientHeight / 2) / scroll.scrollHeight,
    ];
    this.#fit();
    scroll.scrollLeft = center[0] * scroll.scrollWidth - scroll.clientWidth / 2;
    scroll.scrollTop = center[1] * scroll.scrollHeight - scroll.clientHeight / 2;
    if (this.zoom) this.#sharpen();
  }

  // Replaces the pictures by those with all pixels.
  async #sharpen() {
    const { image } = this;
    const [before, after] = await Promise.all([
      this.hasBefore && this.pictures.load(image.fullBefore),
      image.fullAfter && this.pictures.load(image.fullAfter),
    ]);
    if (this.image !== image) return;
    if (before) set(this.before, before);
    if (after) set(this.after, after);
  }

  #fit() {
    const picture = [this.before, this.after].find((each) => !each.hidden && each.naturalWidth);
    if (!picture) return;
    const wide = this.scroll.clientWidth;
    const high = Math.max(240, innerHeight * 0.56);
    const scale = Math.min(wide / picture.naturalWidth, high / picture.naturalHeight, 4);
    const width = Math.max(40, picture.naturalWidth * scale * ZOOMS[this.zoom]);
    this.frame.style.width = `${width}px`;
    this.frame.style.height = `${(width * picture.naturalHeight) / picture.naturalWidth}px`;
    this.scroll.classList.toggle("zoomed", this.zoom > 0);
    if (this.zoom) this.scroll.setAttribute("tabindex", "0");
    else this.scroll.removeAttribute("tabindex");
    const times = `${formatNumber(ZOOMS[this.zoom], 1)}×`;
    element("zoom-fit").textContent = times;
    element("zoom-fit").setAttribute("aria-label", translate("review_zoom_fit", { times }));
    this.#slide();
  }

  #slide() {
    const share = this.mode === "compare" && this.hasBefore ? Number(this.slider.value) : 100;
    this.before.style.clipPath = share < 100 ? `inset(0 ${100 - share}% 0 0)` : "none";
    element("viewer-divider").style.left = `${share}%`;
  }
}

function set(picture, url) {
  if (url) picture.src = url;
  else picture.removeAttribute("src");
}
