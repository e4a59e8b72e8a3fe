// What is hidden in the selected images: the preview, the regions on it, what is found, and the options of the panel.

import { EngineViews } from "../shared/engine_views.js";
import { FoundBoxes } from "../shared/regions/found_boxes.js";
import { LeftOut } from "../shared/regions/found.js";
import { RegionEditor } from "../shared/regions/region_editor.js";
import { SHAPES, copyOf } from "../shared/regions/shapes.js";
import { formatNumber, translate } from "../shared/texts.js";
import { Preview } from "./preview.js";

const element = (id) => document.getElementById(id);
const EFFECT_FIELDS = ["effect", "strength", "color"];
const SEARCH_FIELDS = ["find_padding", "format"];
const NONE = [];

export class EffectSettings {
  // images(): all selected ones; notes(image) is called when those of an image have changed, pictured(image, blob) when
  // the server has shown one, showError(text) to report.
  constructor({ form, limits, images, notes, pictured, showError }) {
    this.form = form;
    for (const part of form.querySelectorAll(".without-js")) part.remove();
    this.images = images;
    this.notes = notes;
    this.pictured = pictured;
    this.image = null;
    this.effectChosen = false;
    this.preview = new Preview(element("preview"));
    this.views = new EngineViews({ maxBytes: limits.max_image_bytes, changed: (file) => this.#learned(file) });
    const changed = () => this.#changed();
    const overlay = element("overlay");
    this.editor = new RegionEditor({
      stage: element("stage"),
      overlay,
      list: element("region-list"),
      addButton: element("add-region"),
      changed,
      refused: showError,
    });
    this.found = new FoundBoxes({ overlay, changed, refused: showError });
    this.findBoxes = [...(element("find")?.querySelectorAll("input[type=checkbox]") ?? [])];
    this.common = this.#readEffect();
    this.#listenToPanel();
    this.#listenToTools();
    this.#showValues();
  }

  // Shows an image of `images()`, or none.
  show(image) {
    this.image = image;
    element("copied").hidden = true;
    for (const id of ["editor", "regions", "scope"]) element(id).hidden = !image;
    this.preview.clear();
    this.#want();
    this.#fillPanel();
    if (image) {
      // At once: what is added before its picture has arrived is its own.
      this.editor.show(image.regions, this.views.of(image.file).picture ?? this.editor.size);
      element("blur-outside").checked = image.outside;
      this.#render();
    }
  }

  // Is to be called when images were added or removed.
  imagesChanged() {
    this.#want();
    this.#showValues();
  }

  // Is to be called before the form is removed.
  close() {
    this.image = null;
    this.views.want([], {});
  }

  // The spec of all images without their own.
  commonSpec() {
    return this.#spec(this.common);
  }

  // The spec of an image; null if it is that of all.
  specOf(image) {
    const excluded = this.wanted.length ? (image.leftOut?.excluded ?? []) : [];
    if (!image.own && !image.regions.length && !excluded.length) return null;
    const { padding, feather } = this.#edge();
    const regions = image.regions.map((region) => ({ ...region, padding, feather }));
    return this.#spec(image.own ?? this.common, { regions, outside: image.outside, exclude: excluded });
  }

  // What to find in all images.
  get wanted() {
    return this.findBoxes.filter((box) => box.checked).map((box) => box.name.replace("find_", ""));
  }

  #spec(effect, extra = {}) {
    const { format, quality, keep_metadata: metadata, find_padding: padding } = this.form.elements;
    return {
      ...effect,
      find: this.wanted,
      find_padding: padding?.value ?? "",
      format: format.value,
      quality: Number(quality.value),
      keep_metadata: metadata.checked,
      ...extra,
    };
  }

  #edge() {
    return { padding: Number(this.form.elements.padding.value), feather: Number(this.form.elements.feather.value) };
  }

  #readEffect() {
    const { effect, strength, color } = this.form.elements;
    return { effect: effect.value, strength: Number(strength.value), color: color.value };
  }

  get #effect() {
    return this.image?.own ?? this.common;
  }

  #listenToPanel() {
    element("panel").addEventListener("input", ({ target }) => {
      if (target.name === "effect") this.effectChosen = true;
      if (this.findBoxes.includes(target)) {
        // What somebody looks for is to be hidden for good, unless they choose otherwise.
        if (!this.effectChosen) this.common.effect = this.wanted.length ? "redact" : "gaussian";
        this.#fillPanel();
      }
      if (EFFECT_FIELDS.includes(target.name)) Object.assign(this.#effect, this.#readEffect());
      if (this.findBoxes.includes(target) || SEARCH_FIELDS.includes(target.name)) this.#want();
      this.#showValues();
      this.#showFound();
    });
    element("scope").addEventListener("change", () => {
      this.image.own = this.form.elements.scope.value === "one" ? { ...this.#effect } : null;
      this.#fillPanel();
      this.#changed();
    });
    element("blur-outside").addEventListener("change", ({ target }) => {
      this.image.outside = target.checked;
      this.#changed();
    });
    element("copy-regions").addEventListener("click", () => this.#copyToAll(() => {
      const { regions, outside } = this.image;
      for (const other of this.images()) if (other !== this.image) Object.assign(other, { regions: regions.map(copyOf), outside });
    }));
    element("copy-effect").addEventListener("click", () => this.#copyToAll(() => {
      this.common = { ...this.image.own };
      for (const other of this.images()) other.own = null;
    }));
    element("undo-copy").addEventListener("click", () => this.#undoCopy());
  }

  #listenToTools() {
    for (const shape of SHAPES) {
      element(`shape-${shape}`).addEventListener("click", () => {
        this.editor.cancelDrawing();
        this.editor.shape = shape;
        for (const other of SHAPES) element(`shape-${other}`).setAttribute("aria-pressed", other === shape);
        element("brush-size-field").hidden = shape !== "brush";
      });
    }
    element("brush-size").addEventListener("input", ({ target }) => (this.editor.brushWidth = target.value / 100));
    const setDrawing = (value) => {
      this.editor.drawing = value;
      element("draw").setAttribute("aria-pressed", value);
    };
    // On touch screens, a drag scrolls unless drawing is switched on.
    setDrawing(matchMedia("(pointer: fine)").matches);
    element("draw").addEventListener("click", () => setDrawing(!this.editor.drawing));
    element("add-region").addEventListener("click", () => this.editor.add());
    element("show-original").addEventListener("click", () => {
      this.preview.showsOriginal = !this.preview.showsOriginal;
      element("show-original").setAttribute("aria-pressed", this.preview.showsOriginal);
      this.#draw();
    });
    element("leave-all").addEventListener("click", () => {
      const left = this.#leftOut();
      if (left.all) left.clear();
      else left.leaveAll();
      this.found.refresh();
      this.#changed();
    });
    element("retry-preview").addEventListener("click", () => {
      this.views.retry(this.image.file);
      this.#render();
    });
  }

  #fillPanel() {
    const { effect, strength, color } = this.#effect;
    const { elements } = this.form;
    elements.effect.value = effect;
    elements.strength.value = strength;
    elements.color.value = color;
    elements.scope.value = this.image?.own ? "one" : "all";
    this.#showValues();
  }

  // The numbers beside the sliders, and what can be copied.
  #showValues() {
    const { strength, padding, feather, quality } = this.form.elements;
    const shorter = this.preview.original && Math.min(this.preview.size.width, this.preview.size.height);
    const show = (input, share) => {
      const percent = formatNumber(share * 100, 1);
      const px = shorter && Math.round(share * shorter);
      const key = px ? "strength_px" : "strength";
      element(`${input.id}-shown`).textContent = translate(key, { strength: percent, px: px && formatNumber(px) });
    };
    show(strength, strength.value / 100);
    show(padding, Number(padding.value));
    show(feather, Number(feather.value));
    element("quality-shown").textContent = formatNumber(quality.value);
    const several = this.images().length > 1;
    element("copy-regions").hidden = !several || !this.image?.regions.length;
    element("copy-effect").hidden = !several || !this.image?.own;
  }

  #search() {
    const { find_padding: padding, format } = this.form.elements;
    return { find: this.wanted, find_padding: padding?.value ?? "", format: format.value };
  }

  // The image that is shown, then its neighbour, which comes next.
  #want() {
    const all = this.images();
    const at = all.indexOf(this.image);
    const files = [this.image, all[at + 1]].filter(Boolean).map(({ file }) => file);
    this.views.want(this.image ? files : [], this.#search());
  }

  #learned(file) {
    const { picture } = this.views.of(file);
    const image = picture && this.images().find((each) => each.file === file);
    if (image) this.pictured(image, picture.blob);
    if (file === this.image?.file) this.#render();
  }

  async #render() {
    const { image } = this;
    const view = this.views.of(image.file);
    // Too large for the server to show, or the server does not answer: the browser's own picture is better than none.
    const byBrowser = this.views.isTooLarge(image.file) || (!view.picture && view.problem && !view.problem.permanent);
    const blob = view.picture?.blob ?? (byBrowser ? image.file : null);
    if (blob && this.preview.source !== blob) {
      const visible = await this.preview.load(blob, view.picture);
      if (this.image !== image) return;
      if (visible) this.editor.show(image.regions, this.preview.size);
    }
    this.#showState(view, byBrowser);
    this.#showFound();
    this.#showValues();
  }

  #showState(view, byBrowser) {
    const visible = Boolean(this.preview.original);
    element("preview").hidden = element("overlay").hidden = !visible;
    if (visible) element("preview").setAttribute("aria-label", translate("preview_of", { name: this.image.file.name }));
    const message = element("no-preview");
    message.hidden = visible;
    const { problem } = view;
    if (problem) message.textContent = problem.message;
    else message.textContent = translate(byBrowser ? "no_preview" : "preview_loading");
    element("stage").classList.toggle("loading", !visible && !problem && !byBrowser);
    const note = element("preview-note");
    note.hidden = !(byBrowser && visible);
    if (!note.hidden) note.textContent = translate("preview_by_browser");
    element("retry-preview").hidden = !problem || problem.permanent;
  }

  #leftOut() {
    return (this.image.leftOut ??= new LeftOut());
  }

  // The findings, as far as they are known, and how many of them are left out.
  #showFound() {
    const { image } = this;
    const bar = element("found-bar");
    bar.hidden = !image || !this.wanted.length || !this.preview.original;
    if (!image) return;
    const findings = this.views.findings(image.file) ?? NONE;
    if (this.preview.original && this.shownFindings !== findings) {
      this.found.show(findings, this.#leftOut(), this.preview.size);
      this.shownFindings = findings;
    }
    if (!bar.hidden) this.#describeFound(image);
    this.#draw();
  }

  #describeFound(image) {
    const findings = this.views.findings(image.file);
    const left = this.#leftOut();
    const n = findings?.length ?? 0;
    const out = findings?.filter((finding) => left.has(finding)).length ?? 0;
    let text;
    if (findings) text = n ? translate(out ? "found_left_out" : "found", { n, left: out }) : translate("found_none");
    else if (this.views.isTooLarge(image.file) || this.views.of(image.file).problem) text = translate("found_later");
    else text = translate("searching");
    const status = element("found-status");
    if (status.textContent !== text) status.textContent = text;
    element("leave-all").hidden = !n;
    element("leave-all").textContent = translate(left.all ? "hide_all" : "leave_all");
  }

  #changed() {
    this.notes(this.image);
    this.#showValues();
    this.#showFound();
  }

  #draw() {
    const { image } = this;
    if (!image || !this.preview.original) return;
    const left = this.#leftOut();
    const found = (this.views.findings(image.file) ?? []).filter((finding) => !left.has(finding));
    this.preview.draw({
      ...this.#effect,
      ...this.#edge(),
      finds: this.wanted.length > 0,
      regions: image.regions,
      outside: image.outside,
      found,
    });
  }

  #copyToAll(copy) {
    const all = this.images();
    this.before = {
      common: { ...this.common },
      images: all.map((image) => [image, { own: image.own, regions: image.regions, outside: image.outside }]),
    };
    copy();
    for (const image of all) this.notes(image);
    element("copied").hidden = false;
    element("copied-text").textContent = translate("copied_to_all", { n: all.length - 1 });
    element("undo-copy").focus();
    this.#afterCopy();
  }

  #undoCopy() {
    this.common = this.before.common;
    for (const [image, values] of this.before.images) Object.assign(image, values);
    for (const image of this.images()) this.notes(image);
    element("copied").hidden = true;
    this.#afterCopy();
  }

  #afterCopy() {
    this.editor.show(this.image.regions, this.preview.size ?? this.editor.size);
    this.#fillPanel();
    this.#showFound();
  }
}
