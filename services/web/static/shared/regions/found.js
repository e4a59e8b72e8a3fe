// Which findings are hidden: a finding whose middle lies in an excluded rectangle is not. The server applies the same
// rule, so that what the page shows as hidden is what is hidden.

// Of a spec.
export const MAX_EXCLUDED = 100;
// The part of a finding's box around its middle that is excluded: nobody else's middle lies there.
const PART = 0.1;
const EVERYTHING = { left: 0, top: 0, width: 1, height: 1 };

export const keyOf = ({ kind, label, box }) =>
  [kind, label, ...[box.left, box.top, box.width, box.height].map((side) => side.toFixed(4))].join(" ");

// What a person has left out of the findings of an image.
export class LeftOut {
  constructor() {
    this.all = false;
    this.byKey = new Map();
  }

  get any() {
    return this.all || this.byKey.size > 0;
  }

  // The rectangles to exclude.
  get excluded() {
    return this.all ? [EVERYTHING] : [...this.byKey.values()];
  }

  has({ box }) {
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    return this.excluded.some(
      ({ left, top, width, height }) =>
        Math.abs(x - left - width / 2) <= width / 2 + 1e-9 && Math.abs(y - top - height / 2) <= height / 2 + 1e-9,
    );
  }

  // Leaves a finding out, or hides it again. `findings` are all of the image. Returns false if too many are left out.
  toggle(finding, findings) {
    if (this.has(finding)) {
      const others = findings.filter((other) => other !== finding && this.has(other));
      if (others.length > MAX_EXCLUDED) return false;
      this.clear();
      for (const other of others) this.#add(other);
      // Others at the same place are hidden, too.
      if (this.has(finding)) for (const [key, part] of this.byKey) if (middleLiesIn(finding.box, part)) this.byKey.delete(key);
      return true;
    }
    if (this.byKey.size >= MAX_EXCLUDED) return false;
    this.#add(finding);
    return true;
  }

  leaveAll() {
    this.clear();
    this.all = true;
  }

  clear() {
    this.all = false;
    this.byKey.clear();
  }

  #add(finding) {
    const { left, top, width, height } = finding.box;
    this.byKey.set(keyOf(finding), {
      left: left + (width * (1 - PART)) / 2,
      top: top + (height * (1 - PART)) / 2,
      width: width * PART,
      height: height * PART,
    });
  }
}

function middleLiesIn({ left, top, width, height }, part) {
  const [x, y] = [left + width / 2, top + height / 2];
  return x >= part.left && x <= part.left + part.width && y >= part.top && y <= part.top + part.height;
}
