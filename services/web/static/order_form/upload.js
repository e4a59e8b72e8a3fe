// Sends an order: first its manifest for validation, then one request with everything. The browser reads the files while
// it sends them.

import { translate } from "../shared/texts.js";

export class RejectedError extends Error {
  constructor({ message, violations = [] }) {
    super(message);
    this.violations = violations;
  }
}

export class ConnectionError extends Error {}

// Errors of the pages are JSON; anything else comes from a proxy in front of them, or from their security checks.
function errorOf(status, text) {
  try {
    return new RejectedError(JSON.parse(text));
  } catch {
    if (status === 413) return new RejectedError({ message: translate("proxy_too_large") });
    if (status >= 400 && status < 500) return new RejectedError({ message: translate("not_accepted", { status }) });
    return new ConnectionError();
  }
}

// A browser cannot read a file any more that was changed, moved or deleted since it was selected, and reports only that
// the upload failed.
async function brokenUpload(files) {
  for (const [image, file] of files.entries()) {
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      const message = translate("file_changed");
      return new RejectedError({ message: `${file.name}: ${message}`, violations: [{ image, field: "data", message }] });
    }
  }
  return new ConnectionError();
}

export async function check(manifest, signal) {
  let response;
  try {
    const headers = { "Content-Type": "application/json" };
    response = await fetch("/api/orders/check", { method: "POST", headers, body: JSON.stringify(manifest), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ConnectionError();
  }
  if (!response.ok) throw errorOf(response.status, await response.text());
}

// Returns the URL of the order. XMLHttpRequest, because fetch does not report upload progress.
export function upload(manifest, files, { signal, progress }) {
  const head = new TextEncoder().encode(JSON.stringify(manifest));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, head.length);
  const body = new Blob([length.buffer, head, ...files]);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/orders");
    request.setRequestHeader("Content-Type", "application/vnd.imageblur.order");
    request.upload.addEventListener("progress", (event) => progress(event.loaded, body.size));
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText).order);
      else reject(errorOf(request.status, request.responseText));
    });
    request.addEventListener("error", async () => reject(await brokenUpload(files)));
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

// A UUID. crypto.randomUUID does not exist on pages without HTTPS.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
