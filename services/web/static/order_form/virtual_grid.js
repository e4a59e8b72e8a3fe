// A grid that scrolls in a box of a fixed height and has elements for the images in view alone: ten thousand of them
// take as long as fifty.

const MIN_WIDTH = 104;
const GAP = 12;
const CAPTION = 68; // height of the text below a thumbnail
const ROWS_AROUND = 1; // rendered above and below what is in view

export class VirtualGrid {
  #box;
  #list;
  #create;
  #shown;
  #hidden;
  #images = [];
  #elements = new Map(); // image to its element, of those that are rendered
  #kept = null; // is rendered wherever it is
  #columns = 1;
  #width = MIN_WIDTH;
  #scheduled = 0;

  // `create(image)` returns the element of an image; `shown` and `hidden` are called when one is rendered, or no longer.
  constructor({ box, list, create, shown, hidden }) {
    this.#box = box;
    this.#list = list;
    this.#create = create;
    this.#shown = shown;
    this.#hidden = hidden;
    box.addEventListener("scroll", () => this.#schedule(), { passive: true });
    new ResizeObserver(() => this.#measure()).observe(box);
  }

  // Shows these images.
  show(images) {
    this.#images = images;
    for (const [image, element] of this.#elements) if (image.removed) this.#drop(image, element);
    this.#measure();
  }

  // Renders an image wherever it is: that of the preview.
  keep(image) {
    this.#kept = image;
    this.#render();
  }

  // The element of an image; undefined if it is not rendered.
  elementOf(image) {
    return this.#elements.get(image);
  }

  get columns() {
    return this.#columns;
  }

  // Scrolls the box until the image is in view.
  reveal(image) {
    const index = this.#images.indexOf(image);
    if (index < 0) return;
    const top = Math.floor(index / this.#columns) * this.#rowHeight;
    const bottom = top + this.#rowHeight;
    if (top < this.#box.scrollTop) this.#box.scrollTop = top;
    else if (bottom > this.#box.scrollTop + this.#box.clientHeight) this.#box.scrollTop = bottom - this.#box.clientHeight;
    this.#render();
  }

  get #rowHeight() {
    return Math.round(this.#width * 0.75) + CAPTION + GAP;
  }

  #measure() {
    const width = this.#list.clientWidth;
    if (!width) return;
    this.#columns = Math.max(1, Math.floor((width + GAP) / (MIN_WIDTH + GAP)));
    this.#width = (width - (this.#columns - 1) * GAP) / this.#columns;
    this.#list.style.height = `${Math.max(0, Math.ceil(this.#images.length / this.#columns) * this.#rowHeight - GAP)}px`;
    this.#render();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = requestAnimationFrame(() => {
      this.#scheduled = 0;
      this.#render();
    });
  }

  // The indices to render, in order.
  #indices() {
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowHeight) - ROWS_AROUND) * this.#columns;
    const last = Math.min(
      this.#images.length,
      (Math.ceil((scrollTop + clientHeight) / this.#rowHeight) + ROWS_AROUND) * this.#columns,
    );
    const indices = [];
    for (let index = first; index < last; index += 1) indices.push(index);
    const kept = this.#kept ? this.#images.indexOf(this.#kept) : -1;
    if (kept >= 0 && kept < first) indices.unshift(kept);
    if (kept >= last) indices.push(kept);
    return indices;
  }

  #render() {
    const indices = this.#indices();
    const wanted = new Set(indices.map((index) => this.#images[index]));
    for (const [image, element] of this.#elements) {
      // What has the focus stays until it has it no longer.
      if (!wanted.has(image) && !element.contains(document.activeElement)) this.#drop(image, element);
    }
    let next = this.#list.firstElementChild;
    for (const index of indices) {
      const image = this.#images[index];
      let element = this.#elements.get(image);
      const isNew = !element;
      if (isNew) {
        element = this.#create(image);
        this.#elements.set(image, element);
      }
      if (element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(element, next);
      this.#place(element, index);
      if (isNew) this.#shown(image);
    }
  }

  #place(element, index) {
    const { style } = element;
    style.left = `${(index % this.#columns) * (this.#width + GAP)}px`;
    style.top = `${Math.floor(index / this.#columns) * this.#rowHeight}px`;
    style.width = `${this.#width}px`;
    style.height = `${this.#rowHeight - GAP}px`;
    element.setAttribute("aria-setsize", this.#images.length);
    element.setAttribute("aria-posinset", index + 1);
  }

  #drop(image, element) {
    this.#elements.delete(image);
    element.remove();
    this.#hidden(image);
  }
}
