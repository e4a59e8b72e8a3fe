// The order form: select files, effects and regions, upload, and open the order's page.

import { announce, formatSize, readPageData, translate } from "../shared/texts.js";
import { Choosing } from "./choosing.js";
import { acceptFiles } from "./file_inputs.js";
import { openOrder } from "./open_order.js";
import { SelectedImages } from "./selected_images.js";
import { ConnectionError, RejectedError, check, newId, upload } from "./upload.js";

const element = (id) => document.getElementById(id);
const form = element("order");
if (form) start(readPageData());

function start(limits) {
  const drop = element("drop");
  let requestId = newId();
  let sending = null;

  const selected = new SelectedImages({
    strip: element("strip"),
    limits,
    shown: (image) => choosing.show(image),
    changed: update,
  });
  const choosing = new Choosing({
    form,
    limits,
    images: () => selected.images,
    notes: (image) => selected.showNotes(image),
    showError,
  });

  function update() {
    const n = selected.images.length;
    element("selected").hidden = !n;
    drop.classList.toggle("small", n > 0);
    element("selected-title").textContent = translate("selected", { n, size: formatSize(selected.bytes) });
    element("submit").textContent = n ? translate("submit", { n }) : translate("submit_none");
    requestId = newId(); // a changed order is a new request
    choosing.imagesChanged();
    showError(selected.bytes > limits.max_order_bytes ? translate("order_too_large", { size: formatSize(limits.max_order_bytes) }) : "");
  }

  function showError(text) {
    element("form-error").textContent = text;
    element("form-error").hidden = !text;
  }

  function add(files) {
    if (!files.length || sending) return;
    const { added, leftOut } = selected.add(files);
    announce(translate("added", { n: added }));
    if (leftOut) showError(translate("too_many", { n: limits.max_images }));
  }

  acceptFiles({ form, drop, add });

  element("remove-all").addEventListener("click", () => {
    selected.clear();
    element("files").focus();
  });

  function manifestOf(images) {
    return {
      email: form.elements.notify.checked ? form.elements.email.value : "",
      notify: form.elements.notify.checked,
      keep_originals: form.elements.keep_originals?.checked ? form.elements.keep_originals.value : null,
      request_id: requestId,
      spec: choosing.commonSpec(),
      images: images.map((image) => ({ name: image.file.name, size: image.file.size, spec: choosing.specOf(image) })),
    };
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

  function showRejection(error, images) {
    let first = null;
    const general = [];
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
    showError([error.message, ...general].join(" "));
    first?.element.scrollIntoView({ block: "nearest" });
  }

  function busy(value) {
    element("uploading").hidden = !value;
    element("submit").hidden = value;
    for (const part of form.querySelectorAll(".work > div, .panel > :not(.finish)")) part.inert = value;
  }

  function progress(sent, total) {
    const percent = Math.floor((100 * sent) / total);
    element("upload-bar").value = sent / total;
    element("upload-text").textContent = sent < total ? translate("uploading", { percent, size: formatSize(total) }) : translate("storing");
    if (percent % 25 === 0) announce(element("upload-text").textContent);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    if (!selected.images.length) {
      showError(translate("no_images"));
      element("files").focus();
      return;
    }
    if (selected.bytes > limits.max_order_bytes) return;
    selected.validate(); // an image that the server rejected may be valid with other options
    if (selected.invalid.length) {
      const [first] = selected.invalid;
      showError(`${first.file.name}: ${first.error}`);
      first.element.querySelector(".remove").focus();
      return;
    }
    showError("");
    showEmailError("");
    const { email, notify } = form.elements;
    if (notify.checked && (!email.value.trim() || !email.checkValidity())) {
      showEmailError(translate("email"));
      return;
    }
    const images = [...selected.images];
    const files = images.map((image) => image.file);
    const manifest = manifestOf(images);
    sending = new AbortController();
    busy(true);
    element("upload-text").textContent = translate("checking");
    element("upload-bar").value = 0;
    element("cancel-upload").focus();
    try {
      await check(manifest, sending.signal);
      progress(0, selected.bytes);
      const url = await upload(manifest, files, { signal: sending.signal, progress });
      choosing.close();
      await openOrder(url, files);
    } catch (error) {
      busy(false);
      element("submit").focus({ preventScroll: true });
      if (error instanceof RejectedError) showRejection(error, images);
      else showError(translate(error.name === "AbortError" ? "upload_cancelled" : "connection_lost"));
      if (!(error instanceof RejectedError) && !(error instanceof ConnectionError) && error.name !== "AbortError") throw error;
    } finally {
      sending = null;
    }
  });
  element("cancel-upload").addEventListener("click", () => sending?.abort());
}
