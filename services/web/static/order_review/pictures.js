// Loads pictures before they are shown: the next image's while somebody looks at this one. A few are kept in memory.

const KEPT = 12;
const TRIES = 6;

export class Pictures {
  constructor() {
    this.loading = new Map(); // promises of object URLs by address, oldest first
  }

  has(address) {
    return this.loading.has(address);
  }

  // Returns an object URL of a picture; null if it cannot be loaded.
  load(address) {
    const known = this.loading.get(address);
    if (known) this.loading.delete(address); // to put it last
    const picture = known ?? this.#fetch(address);
    this.loading.set(address, picture);
    for (const [oldest, dropped] of this.loading) {
      if (this.loading.size <= KEPT) break;
      this.loading.delete(oldest);
      dropped.then((url) => url && URL.revokeObjectURL(url));
    }
    return picture;
  }

  async #fetch(address) {
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      try {
        const response = await fetch(address);
        if (response.ok) return URL.createObjectURL(await response.blob());
        if (response.status !== 503) break;
        // So many pictures are drawn at a time.
        const seconds = Number(response.headers.get("Retry-After")) || 1;
        await new Promise((done) => setTimeout(done, Math.min(seconds, 5) * 1000));
      } catch {
        break;
      }
    }
    this.loading.delete(address); // it may be there later
    return null;
  }
}
