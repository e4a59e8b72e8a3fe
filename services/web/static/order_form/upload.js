// Sends an order as a resumable upload: its manifest first, which is validated, then the bytes of all files, one after
// the other, in pieces; then it is completed. After a cut line it asks the server where to go on, as in tus.

import { translate } from "../shared/texts.js";

const PIECE = 16 << 20; // bytes of a request
const SMALLEST_PIECE = 256 << 10; // a proxy that refuses even that has no room for uploads
const MOST_CONFLICTS = 3;
const LONGEST_PAUSE_MS = 15_000;

export class RefusedError extends Error {
  constructor({ message, violations = [], retry_after: retryAfter = null }, status = 0) {
    super(message);
    this.violations = violations;
    this.retryAfter = retryAfter;
    this.status = status;
  }

  // Whether the same request may succeed later.
  get isTemporary() {
    return this.status === 503 || this.status === 429;
  }
}

export class ConnectionError extends Error {}

// Errors of the pages are JSON; anything else comes from a proxy in front of them, or from their security checks.
function errorOf(status, text) {
  try {
    return new RefusedError(JSON.parse(text), status);
  } catch {
    if (status === 413) return new RefusedError({ message: translate("proxy_too_large") }, status);
    if (status >= 400 && status < 500) return new RefusedError({ message: translate("not_accepted", { status }) }, status);
    return new ConnectionError();
  }
}

async function call(method, url, { signal, body }) {
  let response;
  try {
    const headers = body ? { "Content-Type": "application/json" } : {};
    response = await fetch(url, { method, headers, body, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ConnectionError();
  }
  const text = await response.text();
  if (!response.ok) throw errorOf(response.status, text);
  return text ? JSON.parse(text) : {};
}

// Creates an upload, or finds the one of the same request: { upload, offset, size, order }, with URLs.
export function createUpload(manifest, signal) {
  return call("POST", "/api/uploads", { body: JSON.stringify(manifest), signal });
}

// How far an upload has come; null if it is gone.
export async function findUpload(url, signal) {
  try {
    return await call("GET", url, { signal });
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

export async function deleteUpload(url) {
  try {
    await call("DELETE", url, {});
  } catch (error) {
    if (error.status !== 404) throw error;
  }
}

// Sends what is missing of an upload, and returns the URL of its order. It waits and goes on when the line is cut;
// `waiting(error)` is called then.
export async function sendUpload({ upload: url, offset }, files, { signal, progress, waiting }) {
  const whole = new Blob(files);
  const state = { piece: PIECE, conflicts: 0, pauses: 0, offset };
  progress(offset, whole.size);
  while (state.offset < whole.size) {
    const end = Math.min(whole.size, state.offset + state.piece);
    try {
      const report = (sent) => progress(state.offset + sent, whole.size);
      state.offset = await sendPiece(url, state.offset, whole.slice(state.offset, end), { signal, report });
      state.conflicts = state.pauses = 0;
    } catch (error) {
      if (error instanceof ConnectionError) await throwIfChanged(files, state.offset, end);
      await recover(error, state, { url, signal, waiting });
    }
    progress(state.offset, whole.size);
  }
  return complete(url, state, { signal, waiting });
}

async function complete(url, state, { signal, waiting }) {
  for (;;) {
    try {
      return (await call("POST", `${url}/complete`, { signal })).order;
    } catch (error) {
      await recover(error, state, { url, signal, waiting });
    }
  }
}

// Waits until it makes sense to go on, and finds out where. Throws what cannot be helped.
async function recover(error, state, { url, signal, waiting }) {
  if (error.status === 413 && state.piece > SMALLEST_PIECE) {
    state.piece = Math.max(SMALLEST_PIECE, state.piece / 4);
    return;
  }
  if (error.status === 409) {
    state.conflicts += 1;
    if (state.conflicts > MOST_CONFLICTS) throw error;
  } else if (!(error instanceof ConnectionError) && !error.isTemporary) {
    throw error;
  }
  for (;;) {
    if (error.status !== 409) {
      waiting(error);
      await pause(error.retryAfter, state, signal);
    }
    try {
      const found = await findUpload(url, signal);
      if (!found) throw new RefusedError({ message: translate("upload_gone") }, 404);
      state.offset = found.offset;
      return;
    } catch (again) {
      if (!(again instanceof ConnectionError) && !again.isTemporary) throw again;
      error = again;
    }
  }
}

// Ends early when the browser is online again.
function pause(seconds, state, signal) {
  const ms = seconds ? seconds * 1000 : Math.min(LONGEST_PAUSE_MS, 500 * 2 ** state.pauses);
  state.pauses += 1;
  return new Promise((resolve, reject) => {
    const done = (settle, value) => {
      clearTimeout(timer);
      removeEventListener("online", online);
      signal.removeEventListener("abort", aborted);
      settle(value);
    };
    const online = () => done(resolve);
    const aborted = () => done(reject, new DOMException("cancelled", "AbortError"));
    const timer = setTimeout(online, ms);
    addEventListener("online", online);
    signal.addEventListener("abort", aborted);
    if (signal.aborted) aborted();
  });
}

// Returns the offset after a piece. XMLHttpRequest, because fetch does not report progress.
function sendPiece(url, offset, piece, { signal, report }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", url);
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.setRequestHeader("Tus-Resumable", "1.0.0");
    request.setRequestHeader("Upload-Offset", offset);
    const abort = () => request.abort();
    request.upload.addEventListener("progress", (event) => report(event.loaded));
    request.addEventListener("load", () => {
      if (request.status === 204) resolve(Number(request.getResponseHeader("Upload-Offset")));
      else reject(errorOf(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(new ConnectionError()));
    request.addEventListener("abort", () => {
      // Without a signal, the page is being left: that is no wish to cancel.
      reject(signal.aborted ? new DOMException("cancelled", "AbortError") : new ConnectionError());
    });
    request.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    signal.addEventListener("abort", abort);
    request.send(piece);
  });
}

// A browser cannot read a file any more that was changed, moved or deleted since it was selected, and reports only that
// the request failed. Checks the files of a piece.
async function throwIfChanged(files, begin, end) {
  let start = 0;
  for (const [image, file] of files.entries()) {
    if (start >= end) return;
    if (start + file.size > begin) {
      try {
        await file.slice(0, 1).arrayBuffer();
      } catch {
        const message = translate("file_changed");
        throw new RefusedError({ message: `${file.name}: ${message}`, violations: [{ image, field: "data", message }] });
      }
    }
    start += file.size;
  }
}

// A UUID. crypto.randomUUID does not exist on pages without HTTPS.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
