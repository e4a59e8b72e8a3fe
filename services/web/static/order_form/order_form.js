// The order form: select files, effects and regions, upload, and open the order's page.

import { announce, formatSize, readPageData, translate } from "../shared/texts.js";
import { acceptFiles } from "./file_inputs.js";
import { openOrder } from "./open_order.js";
import { Preview } from "./preview.js";
import { RegionEditor } from "./regions.js";
import { SelectedImages } from "./selected_images.js";
import { ConnectionError, RejectedError, check, newId, upload } from "./upload.js";

const element = (id) => document.getElementById(id);
const form = element("order");
if (form) start(readPageData());

function start(limits) {
  const preview = new Preview(element("preview"));
  const drop = element("drop");
  let requestId = newId();
  let sending = null;

  const editor = new RegionEditor({
    stage: element("stage"),
    overlay: element("overlay"),
    list: element("region-list"),
    changed: () => {
      selected.showNotes(selected.current);
      draw();
    },
  });
  const selected = new SelectedImages({ strip: element("strip"), limits, shown: show, changed: update });

  // What to find in all images: the boxes of the panel, if the server can find something.
  const findBoxes = [...(element("find")?.querySelectorAll("input") ?? [])];
  const wanted = () => findBoxes.filter((box) => box.checked).map((box) => box.name.replace("find_", ""));
  let effectChosen = false;

  // The options of the panel: for all images, or for the one in the preview.
  const common = { effect: form.elements.effect.value, strength: form.elements.strength.value, color: form.elements.color.value };

  function settings() {
    return selected.current?.own ?? common;
  }

  function fillPanel() {
    const { effect, strength, color } = settings();
    form.elements.effect.value = effect;
    form.elements.strength.value = strength;
    form.elements.color.value = color;
    form.elements.scope.value = selected.current?.own ? "one" : "all";
    showStrength();
  }

  function readPanel() {
    const values = {
      effect: form.elements.effect.value,
      strength: Number(form.elements.strength.value),
      color: form.elements.color.value,
    };
    Object.assign(settings(), values);
    showStrength();
    draw();
  }

  function showStrength() {
    const strength = new Intl.NumberFormat(document.documentElement.lang).format(form.elements.strength.value);
    const shorter = preview.original && Math.min(preview.size.width, preview.size.height);
    const px = shorter && Math.max(1, Math.round((form.elements.strength.value / 100) * shorter));
    element("strength-shown").textContent = px ? translate("strength_px", { strength, px }) : translate("strength", { strength });
  }

  function draw() {
    const image = selected.current;
    if (image) preview.draw({ ...settings(), finds: wanted().length > 0, regions: image.regions, outside: image.outside });
  }

  async function show(image) {
    element("editor").hidden = element("regions").hidden = element("scope").hidden = !image;
    if (!image) {
      preview.original = null;
      fillPanel();
      return;
    }
    const visible = await preview.load(image.file);
    if (selected.current !== image) return;
    element("preview").hidden = element("overlay").hidden = !visible;
    element("no-preview").hidden = visible;
    element("blur-outside").checked = image.outside;
    editor.show(image.regions);
    fillPanel();
    draw();
  }

  function update() {
    const n = selected.images.length;
    element("selected").hidden = !n;
    drop.classList.toggle("small", n > 0);
    element("selected-title").textContent = translate("selected", { n, size: formatSize(selected.bytes) });
    element("submit").textContent = n ? translate("submit", { n }) : translate("submit_none");
    requestId = newId(); // a changed order is a new request
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

  element("panel").addEventListener("input", (event) => {
    if (event.target.name === "effect") effectChosen = true;
    if (findBoxes.includes(event.target)) {
      // What somebody looks for is to be hidden for good, unless they say otherwise.
      if (!effectChosen) common.effect = wanted().length ? "redact" : "gaussian";
      fillPanel();
      draw();
    }
    if (["effect", "strength", "color"].includes(event.target.name)) readPanel();
  });
  element("scope").addEventListener("change", () => {
    const image = selected.current;
    image.own = form.elements.scope.value === "one" ? { ...settings() } : null;
    selected.showNotes(image);
    fillPanel();
    draw();
  });
  element("blur-outside").addEventListener("change", (event) => {
    selected.current.outside = event.target.checked;
    draw();
  });
  for (const shape of ["box", "ellipse"]) {
    element(`shape-${shape}`).addEventListener("click", () => {
      editor.shape = shape;
      for (const other of ["box", "ellipse"]) element(`shape-${other}`).setAttribute("aria-pressed", other === shape);
    });
  }
  const setDrawing = (value) => {
    editor.drawing = value;
    element("draw").setAttribute("aria-pressed", value);
  };
  // On touch screens, a drag scrolls unless drawing is switched on.
  setDrawing(matchMedia("(pointer: fine)").matches);
  element("draw").addEventListener("click", () => setDrawing(!editor.drawing));
  element("add-region").addEventListener("click", () => editor.add());
  element("show-original").addEventListener("click", () => {
    preview.showsOriginal = !preview.showsOriginal;
    element("show-original").setAttribute("aria-pressed", preview.showsOriginal);
    draw();
  });
  element("remove-all").addEventListener("click", () => {
    selected.clear();
    element("files").focus();
  });

  function specOf({ effect, strength, color }, extra = {}) {
    return {
      effect,
      strength,
      color,
      find: wanted(),
      format: form.elements.format.value,
      keep_metadata: form.elements.keep_metadata.checked,
      ...extra,
    };
  }

  function manifestOf(images) {
    return {
      email: form.elements.notify.checked ? form.elements.email.value : "",
      notify: form.elements.notify.checked,
      request_id: requestId,
      spec: specOf(common),
      images: images.map((image) => ({
        name: image.file.name,
        size: image.file.size,
        spec:
          image.own || image.regions.length
            ? specOf(image.own ?? common, { regions: image.regions, outside: image.outside })
            : null,
      })),
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
