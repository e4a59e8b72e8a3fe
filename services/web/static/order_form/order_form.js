// The order form: select files, choose what to hide, upload, and open the order's page.

import { announce, formatSize, readPageData, translate } from "../shared/texts.js";
import { BadFiles } from "./bad_files.js";
import { EffectSettings } from "./effect_settings.js";
import { acceptFiles } from "./file_inputs.js";
import { openOrder } from "./open_order.js";
import { SelectedImages } from "./selected_images.js";
import { Sending } from "./sending.js";
import { offerUnfinished } from "./unfinished_card.js";
import { ConnectionError, RefusedError, newId } from "./upload.js";

const FILES_AT_ONCE = 250;
const element = (id) => document.getElementById(id);
const form = element("order");
if (form) start(readPageData());

function start(limits) {
  const drop = element("drop");
  let requestId = newId();
  let lastContent = "";
  let sources = []; // handles that lead to the files again after a reload

  const selected = new SelectedImages({
    box: element("strip-box"),
    list: element("strip"),
    limits,
    shown: (image) => choosing.show(image),
    picked: () => element("editor").scrollIntoView({ block: "nearest" }),
    changed: update,
  });
  const choosing = new EffectSettings({
    form,
    limits,
    images: () => selected.images,
    notes: (image) => selected.showNotes(image),
    pictured: (image, picture) => selected.offerThumbnail(image, picture),
    showError,
  });
  const badFiles = new BadFiles({ selected, leftOut: () => selected.images.length && form.requestSubmit() });
  const sending = new Sending({ busy });

  function update() {
    const n = selected.images.length;
    element("selected").hidden = !n;
    drop.classList.toggle("small", n > 0);
    form.classList.toggle("chosen", n > 0);
    fit();
    element("selected-title").textContent = translate("selected", { n, size: formatSize(selected.bytes) });
    element("submit").textContent = n ? translate("submit", { n }) : translate("submit_none");
    if (!n) sources = [];
    choosing.imagesChanged();
    badFiles.show();
    showError(selected.bytes > limits.max_order_bytes ? translate("order_too_large", { size: formatSize(limits.max_order_bytes) }) : "");
  }

  function showError(text) {
    element("form-error").textContent = text;
    element("form-error").hidden = !text;
  }

  // To ask ten thousand files for their size takes a browser seconds: it gets to do other things in between.
  let adding = Promise.resolve();

  function add(files, { others = 0, sources: found = [] } = {}) {
    if (sending.active) return;
    if (!files.length) {
      if (others) announce(translate("folder_without_images"));
      return;
    }
    sources.push(...found);
    adding = adding.then(async () => {
      let added = 0;
      let leftOut = 0;
      for (let begin = 0; begin < files.length; begin += FILES_AT_ONCE) {
        if (begin) await new Promise((resolve) => setTimeout(resolve));
        const some = selected.add(files.slice(begin, begin + FILES_AT_ONCE));
        added += some.added;
        leftOut += some.leftOut;
      }
      const texts = [translate("added", { n: added })];
      if (others) texts.push(translate("others_in_folder", { n: others }));
      announce(texts.join(" "));
      if (leftOut) showError(translate("too_many", { n: limits.max_images }));
    });
  }

  // The panel ends where the window does, also while the page's head is in view above it.
  const fit = () => {
    if (!document.contains(form)) return; // the order's page has replaced it
    const top = Math.max(16, form.getBoundingClientRect().top);
    element("panel").style.setProperty("--visible", `${Math.floor(innerHeight - top - 16)}px`);
  };
  for (const name of ["scroll", "resize"]) addEventListener(name, () => requestAnimationFrame(fit), { passive: true });

  acceptFiles({ form, drop, add });
  offerUnfinished((record, files) => finish(() => sending.goOn(record, files), files));

  element("remove-all").addEventListener("click", () => {
    selected.clear();
    element("files").focus();
  });
  form.elements.notify.addEventListener("change", ({ target }) => target.checked && form.elements.email.focus());

  function manifestOf(images) {
    const content = {
      email: form.elements.notify.checked ? form.elements.email.value : "",
      notify: form.elements.notify.checked,
      keep_originals: form.elements.keep_originals?.checked ? form.elements.keep_originals.value : null,
      spec: choosing.commonSpec(),
      images: images.map((image) => ({ name: image.file.name, size: image.file.size, spec: choosing.specOf(image) })),
    };
    // An order that is sent again is the same request, one that was changed in between is not.
    const text = JSON.stringify(content);
    if (text !== lastContent) requestId = newId();
    lastContent = text;
    return { ...content, request_id: requestId };
  }

  function showEmailError(text) {
    element("email-error").textContent = text;
    element("email-error").hidden = !text;
    if (text) {
      form.elements.email.setAttribute("aria-invalid", "true");
      form.elements.email.focus();
    } else {
      form.elements.email.removeAttribute("aria-invalid");
    }
  }

  function showRefusal(error, images) {
    const general = [];
    let first = null;
    for (const { image, field, message } of error.violations) {
      if (image !== null && images[image]) {
        selected.setError(images[image], message);
        first ??= images[image];
      } else if (field === "email") {
        showEmailError(message);
      } else {
        general.push(message);
      }
    }
    if (first) selected.reveal(first);
    badFiles.show();
    showError([error.message, ...general].join(" "));
  }

  function busy(value) {
    element("submit").hidden = element("to-panel").hidden = value;
    form.classList.toggle("busy", value);
    for (const part of form.querySelectorAll(".work > div, .panel > :not(.finish)")) part.inert = value;
  }

  // Opens the page of the order that `send` returns, or shows why there is none.
  async function finish(send, files, images = []) {
    showError("");
    try {
      const url = await send();
      choosing.close();
      await openOrder(url, files);
    } catch (error) {
      element("submit").focus({ preventScroll: true });
      if (error instanceof RefusedError) {
        showRefusal(error, images);
      } else if (error instanceof ConnectionError || error.name === "AbortError") {
        showError(translate(error instanceof ConnectionError ? "connection_lost" : "upload_cancelled"));
      } else {
        showError(translate("action_failed"));
        throw error;
      }
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await adding;
    if (sending.active) return;
    if (!selected.images.length) {
      showError(translate("no_images"));
      element("files").focus();
      return;
    }
    if (selected.bytes > limits.max_order_bytes) return;
    selected.validate(); // an image that the server refused may be valid with other options
    if (badFiles.show()) {
      badFiles.ask();
      return;
    }
    showEmailError("");
    const { email, notify } = form.elements;
    if (notify.checked && (!email.value.trim() || !email.checkValidity())) {
      showEmailError(translate("email"));
      return;
    }
    const images = [...selected.images];
    const files = images.map((image) => image.file);
    finish(() => sending.order(manifestOf(images), files, sources), files, images);
  });
}
