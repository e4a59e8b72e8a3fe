// Shows the upload of an order, asks before it is cancelled, and warns when the page is left.

import { announce, formatSize, translate } from "../shared/texts.js";
import { RefusedError, createUpload, deleteUpload, findUpload, sendUpload } from "./upload.js";
import { forget, remember, whileSending } from "./unfinished_uploads.js";

const element = (id) => document.getElementById(id);

export class Sending {
  #controller = null;
  #title = document.title;
  #quarter = 0;

  // `busy(value)` is called when an upload begins and when it has ended.
  constructor({ busy }) {
    this.busy = busy;
    element("cancel-upload").addEventListener("click", () => this.#ask(true));
    element("keep-uploading").addEventListener("click", () => this.#ask(false));
    element("confirm-cancel").addEventListener("click", () => this.#controller?.abort());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.active && !element("cancel-question").hidden) this.#ask(false);
    });
  }

  get active() {
    return this.#controller !== null;
  }

  // Sends a new order, and returns the URL of its page.
  async order(manifest, files, sources) {
    return this.#run(async (signal) => {
      const created = await createUpload(manifest, signal);
      const named = files.map(({ name, size, lastModified }) => ({ name, size, lastModified }));
      await remember({ upload: created.upload, files: named, bytes: created.size, sources });
      return this.#send(created, files, signal);
    });
  }

  // Goes on with an upload of an earlier visit.
  async goOn(record, files) {
    return this.#run(async (signal) => {
      const found = await findUpload(record.upload, signal);
      if (!found) {
        await forget(record.upload);
        throw new RefusedError({ message: translate("upload_gone") });
      }
      return this.#send(found, files, signal);
    });
  }

  async #send(upload, files, signal) {
    try {
      const order =
        upload.order ??
        (await whileSending(upload.upload, () =>
          sendUpload(upload, files, {
            signal,
            progress: (sent, total) => this.#progress(sent, total),
            waiting: () => this.#waiting(),
          }),
        ));
      await forget(upload.upload);
      return order;
    } catch (error) {
      // Cancelled, or it can never be completed: nothing of it is kept. Unless another window goes on with it.
      if (signal.aborted || (error instanceof RefusedError && error.status !== 409)) {
        await forget(upload.upload);
        await deleteUpload(upload.upload).catch(() => {});
      }
      throw error;
    }
  }

  async #run(work) {
    this.#controller = new AbortController();
    this.#title = document.title;
    this.#quarter = 0;
    addEventListener("beforeunload", warn);
    this.busy(true);
    element("uploading").hidden = element("cancel-upload").hidden = false;
    element("upload-bar").value = 0;
    element("upload-text").textContent = translate("checking");
    element("cancel-upload").focus();
    try {
      return await work(this.#controller.signal);
    } finally {
      removeEventListener("beforeunload", warn);
      document.title = this.#title;
      element("cancel-question").hidden = element("uploading").hidden = true;
      this.#controller = null;
      this.busy(false);
    }
  }

  #progress(sent, total) {
    const percent = Math.floor((100 * sent) / total);
    const text = sent < total ? translate("uploading", { percent, size: formatSize(total) }) : translate("storing");
    element("upload-bar").value = sent / total;
    element("upload-text").textContent = text;
    document.title = `${percent}% · ${this.#title}`;
    const quarter = Math.floor(percent / 25);
    if (quarter !== this.#quarter) announce(text);
    this.#quarter = quarter;
  }

  #waiting() {
    element("upload-text").textContent = translate("upload_waiting");
    announce(translate("upload_waiting"));
  }

  #ask(value) {
    element("cancel-question").hidden = !value;
    element("cancel-upload").hidden = value;
    element(value ? "keep-uploading" : "cancel-upload").focus();
  }
}

function warn(event) {
  event.preventDefault();
  event.returnValue = true; // for browsers of before 2023
}
