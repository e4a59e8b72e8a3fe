// The order's page: files in, effects and regions chosen, everything sent, and on to the order's own page.

import { Chosen } from "./chosen.js";
import { takeFiles } from "./intake.js";
import { Preview } from "./preview.js";
import { RegionEditor } from "./regions.js";
import { goTo } from "./turning.js";
import { Broken, Refused, check, newId, upload } from "./upload.js";
import { announce, readFacts, say, size } from "./words.js";

const element = (id) => document.getElementById(id);
const form = element("order");
if (form) start(readFacts());

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
      chosen.note(chosen.current);
      draw();
    },
  });
  const chosen = new Chosen({ strip: element("strip"), limits, selected: show, changed: count });

  // What the panel says, for all images or for the one in the preview.
  const common = { effect: form.elements.effect.value, strength: form.elements.strength.value, color: form.elements.color.value };

  function settings() {
    return chosen.current?.own ?? common;
  }

  function fillPanel() {
    const { effect, strength, color } = settings();
    form.elements.effect.value = effect;
    form.elements.strength.value = strength;
    form.elements.color.value = color;
    form.elements.scope.value = chosen.current?.own ? "one" : "all";
    tellStrength();
  }

  function readPanel() {
    const values = {
      effect: form.elements.effect.value,
      strength: Number(form.elements.strength.value),
      color: form.elements.color.value,
    };
    Object.assign(settings(), values);
    tellStrength();
    draw();
  }

  function tellStrength() {
    const strength = new Intl.NumberFormat(document.documentElement.lang).format(form.elements.strength.value);
    const shorter = preview.original && Math.min(preview.size.width, preview.size.height);
    const px = shorter && Math.max(1, Math.round((form.elements.strength.value / 100) * shorter));
    element("strength-shown").textContent = px ? say("strength_px", { strength, px }) : say("strength", { strength });
  }

  function draw() {
    const image = chosen.current;
    if (image) preview.draw({ ...settings(), regions: image.regions, outside: image.outside });
  }

  async function show(image) {
    element("editor").hidden = element("regions").hidden = element("scope").hidden = !image;
    if (!image) {
      preview.original = null;
      fillPanel();
      return;
    }
    const visible = await preview.load(image.file);
    if (chosen.current !== image) return;
    element("preview").hidden = element("overlay").hidden = !visible;
    element("no-preview").hidden = visible;
    element("outside").checked = image.outside;
    editor.show(image.regions);
    fillPanel();
    draw();
  }

  function count() {
    const n = chosen.images.length;
    element("chosen").hidden = !n;
    drop.classList.toggle("small", n > 0);
    element("chosen-title").textContent = say("chosen", { n, size: size(chosen.bytes) });
    element("submit").textContent = n ? say("submit", { n }) : say("submit_none");
    requestId = newId(); // another order than the one that may have been sent before
    complain(chosen.bytes > limits.max_order_bytes ? say("order_too_large", { size: size(limits.max_order_bytes) }) : "");
  }

  function complain(text) {
    element("refused").textContent = text;
    element("refused").hidden = !text;
  }

  function add(files) {
    if (!files.length || sending) return;
    const { added, left } = chosen.add(files);
    announce(say("added", { n: added }));
    if (left) complain(say("too_many", { n: limits.max_images }));
  }

  takeFiles({ form, drop, add });

  element("panel").addEventListener("input", (event) => {
    if (["effect", "strength", "color"].includes(event.target.name)) readPanel();
  });
  element("scope").addEventListener("change", () => {
    const image = chosen.current;
    image.own = form.elements.scope.value === "one" ? { ...settings() } : null;
    chosen.note(image);
    fillPanel();
    draw();
  });
  element("outside").addEventListener("change", (event) => {
    chosen.current.outside = event.target.checked;
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
  // A finger that only wants to scroll should not draw.
  setDrawing(matchMedia("(pointer: fine)").matches);
  element("draw").addEventListener("click", () => setDrawing(!editor.drawing));
  element("add-region").addEventListener("click", () => editor.add());
  element("peek").addEventListener("click", () => {
    preview.peeking = !preview.peeking;
    element("peek").setAttribute("aria-pressed", preview.peeking);
    draw();
  });
  element("clear").addEventListener("click", () => {
    chosen.clear();
    element("files").focus();
  });

  function specOf({ effect, strength, color }, extra = {}) {
    return {
      effect,
      strength,
      color,
      format: form.elements.format.value,
      keep_metadata: form.elements.keep_metadata.checked,
      ...extra,
    };
  }

  function manifestOf(images) {
    return {
      email: form.elements.email.value,
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

  function tellEmail(text) {
    element("email-wrong").textContent = text;
    element("email-wrong").hidden = !text;
    if (text) {
      form.elements.email.setAttribute("aria-invalid", "true");
      form.elements.email.focus();
    } else {
      form.elements.email.removeAttribute("aria-invalid");
    }
  }

  function tellRefusal(error, images) {
    let first = null;
    const general = [];
    for (const { image, field, message } of error.violations) {
      if (image !== null && images[image]) {
        chosen.tell(images[image], message);
        first ??= images[image];
      } else if (field === "email") {
        tellEmail(message);
      } else {
        general.push(message);
      }
    }
    complain([error.message, ...general].join(" "));
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
    element("upload-text").textContent = sent < total ? say("uploading", { percent, size: size(total) }) : say("storing");
    if (percent % 25 === 0) announce(element("upload-text").textContent);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    if (!chosen.images.length) {
      complain(say("first_add"));
      element("files").focus();
      return;
    }
    if (chosen.bytes > limits.max_order_bytes) return;
    chosen.judge(); // what the server has refused may be taken with other options
    if (chosen.refused.length) {
      const [first] = chosen.refused;
      complain(`${first.file.name}: ${first.problem}`);
      first.element.querySelector(".remove").focus();
      return;
    }
    complain("");
    tellEmail("");
    const images = [...chosen.images];
    const files = images.map((image) => image.file);
    const manifest = manifestOf(images);
    sending = new AbortController();
    busy(true);
    element("upload-text").textContent = say("checking");
    element("upload-bar").value = 0;
    element("stop-upload").focus();
    try {
      await check(manifest, sending.signal);
      progress(0, chosen.bytes);
      const address = await upload(manifest, files, { signal: sending.signal, progress });
      await goTo(address, files);
    } catch (error) {
      busy(false);
      element("submit").focus({ preventScroll: true });
      if (error instanceof Refused) tellRefusal(error, images);
      else complain(say(error.name === "AbortError" ? "stopped" : "broken"));
      if (!(error instanceof Refused) && !(error instanceof Broken) && error.name !== "AbortError") throw error;
    } finally {
      sending = null;
    }
  });
  element("stop-upload").addEventListener("click", () => sending?.abort());
}
