// What a person has changed about images, until it is applied.

export class Edits {
  constructor(images) {
    this.images = images;
    this.byId = new Map(); // of images that were looked at
  }

  // Returns what is to be hidden in an image: switches of its boxes, and added regions.
  of(image) {
    if (!this.byId.has(image.id)) this.byId.set(image.id, { on: image.boxes.map((box) => box.on), regions: [] });
    return this.byId.get(image.id);
  }

  isChanged(image) {
    const edit = this.byId.get(image.id);
    return Boolean(edit) && (edit.regions.length > 0 || image.boxes.some((box, index) => box.on !== edit.on[index]));
  }

  get changed() {
    return this.images.filter((image) => this.isChanged(image));
  }

  // Returns the body of the request that applies them.
  body() {
    const chosen = (image, field) =>
      image.boxes.filter((box, index) => box.field === field && this.of(image).on[index]).map((box) => box.index);
    return {
      images: this.changed.map((image) => ({
        id: image.id,
        base: image.base,
        hide: chosen(image, "hide"),
        keep: chosen(image, "keep"),
        add: this.of(image).regions,
      })),
    };
  }

  reset(image) {
    this.byId.delete(image.id);
  }

  // Images as they are now; changes that were applied are forgotten.
  renew(images) {
    const bases = new Map(this.images.map((image) => [image.id, image.base]));
    this.images = images;
    for (const image of images) if (bases.get(image.id) !== image.base) this.reset(image);
  }
}
