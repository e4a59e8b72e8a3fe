// Pictures as the server sees them, and what it finds in them: what a person marks here is what is hidden.
//
// A few at a time, in the order of importance; what is not wanted any more is given up. The answer of the server is parts:
// the length of a JSON object, the object, and as many bytes of a picture as it announces.

import { translate } from "./texts.js";

const AT_A_TIME = 2;
const MAX_RETRIES = 6;
const RETRY_MS = 1500;
// Pictures kept, each of some hundred kilobytes.
const MAX_VIEWS = 40;

// What is known of one file.
class EngineView {
  picture = null; // { blob, width, height }: width and height of the image itself
  searched = ""; // for what and how `findings` were looked for
  findings = null;
  problem = null; // { message, permanent }
}

export class EngineViews {
  // maxBytes: of the largest file that the server shows; `changed(file)` is called when more is known of one.
  constructor({ maxBytes, changed }) {
    this.maxBytes = maxBytes;
    this.changed = changed;
    this.views = new WeakMap();
    this.recent = new Set();
    this.wanted = [];
    this.search = {};
    this.running = new Map();
    this.retries = new WeakMap();
  }

  of(file) {
    if (!this.views.has(file)) this.views.set(file, new EngineView());
    return this.views.get(file);
  }

  isTooLarge(file) {
    return file.size > this.maxBytes;
  }

  // The findings of a file for this search, or null if it has not been searched so.
  findings(file, search = this.search) {
    const view = this.of(file);
    return search.find?.length && view.searched === keyOf(search) ? view.findings : null;
  }

  // Sets which files are wanted, the most important first, and what to find in them: { find, find_padding, format }.
  want(files, search) {
    this.wanted = files.filter((file) => !this.isTooLarge(file));
    this.search = search;
    for (const [file, { control, key }] of this.running) {
      if (!this.wanted.includes(file) || key !== keyOf(search)) {
        control.abort();
        this.running.delete(file);
      }
    }
    this.#next();
  }

  // Tries a file again whose problem was temporary.
  retry(file) {
    this.retries.delete(file);
    this.of(file).problem = null;
    this.#next();
  }

  #next() {
    for (const file of this.wanted) {
      if (this.running.size >= AT_A_TIME) return;
      const view = this.of(file);
      const missing = !view.picture || (this.search.find?.length && view.searched !== keyOf(this.search));
      if (missing && !view.problem && !this.running.has(file)) this.#load(file, view);
    }
  }

  async #load(file, view) {
    const control = new AbortController();
    const search = this.search;
    const entry = { control, key: keyOf(search) };
    this.running.set(file, entry);
    let wait = 0;
    try {
      for await (const [part, picture] of parts(file, queryOf(search, view), control.signal)) {
        if (part.part === "view") this.#keep(file, view, part, picture);
        else if (part.part === "found") Object.assign(view, { findings: part.findings, searched: entry.key });
        else throw new Problem(part);
        this.changed(file);
      }
      this.retries.delete(file);
    } catch (error) {
      if (control.signal.aborted) return;
      wait = this.#fail(file, view, error);
      this.changed(file);
      if (!(error instanceof Problem || error instanceof TypeError)) throw error;
    } finally {
      if (this.running.get(file) === entry && !wait) this.running.delete(file);
    }
    if (wait) {
      // Keeps its place: others have no better chance.
      await new Promise((done) => setTimeout(done, wait));
      if (this.running.get(file) !== entry) return;
      this.running.delete(file);
    }
    this.#next();
  }

  // Returns after how many milliseconds to try again; 0: not by itself.
  #fail(file, view, error) {
    const retries = this.retries.get(file) ?? 0;
    if (error.permanent || retries >= MAX_RETRIES) {
      view.problem = { message: error.permanent ? error.message : translate("preview_failed"), permanent: Boolean(error.permanent) };
      return 0;
    }
    this.retries.set(file, retries + 1);
    return error.retryAfter || RETRY_MS;
  }

  #keep(file, view, { width, height, type }, picture) {
    view.picture = { blob: new Blob([picture], { type }), width, height };
    this.recent.delete(file);
    this.recent.add(file);
    for (const old of this.recent) {
      if (this.recent.size <= MAX_VIEWS) break;
      if (this.wanted.includes(old)) continue;
      this.recent.delete(old);
      this.of(old).picture = null;
    }
  }
}

class Problem extends Error {
  constructor({ message, retry_after: seconds }) {
    super(message);
    this.permanent = !seconds;
    this.retryAfter = seconds && seconds * 1000;
  }
}

const keyOf = ({ find = [], find_padding: padding = "", format = "" }) => JSON.stringify([find, padding, format]);

function queryOf({ find = [], find_padding: padding = "", format = "" }, view) {
  const query = new URLSearchParams();
  if (view.picture) query.set("view", "0");
  if (find.length) {
    query.set("find", find.join(","));
    if (padding !== "") query.set("find_padding", padding);
    if (format) query.set("format", format);
  }
  return query;
}

// Yields the parts of the server's answer: an object, and the bytes of its picture.
async function* parts(file, query, signal) {
  const response = await fetch(`/api/preview?${query}`, { method: "POST", body: file, signal });
  if (!response.ok) {
    const text = await response.text();
    let values;
    try {
      values = JSON.parse(text);
    } catch {
      values = { message: translate("preview_failed"), retry_after: response.status >= 500 ? 5 : null };
    }
    throw new Problem(values);
  }
  const reader = response.body.getReader();
  let rest = new Uint8Array(0);
  const read = async (count) => {
    const pieces = [rest];
    let length = rest.length;
    while (length < count) {
      const { value, done } = await reader.read();
      if (done) return null;
      pieces.push(value);
      length += value.length;
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    rest = all.subarray(count);
    return all.subarray(0, count);
  };
  for (;;) {
    const head = await read(4);
    if (!head) return;
    const text = await read(new DataView(head.buffer, head.byteOffset).getUint32(0));
    const part = text && JSON.parse(new TextDecoder().decode(text));
    const picture = part && (await read(part.bytes));
    if (!picture) throw new TypeError("the answer broke off");
    yield [part, picture];
  }
}
