// Sends what was entered in a form of the page, shows the answer, and keeps the form's curl command current.

import { readPageData, translate } from "../shared/texts.js";

readPageData();
const key = document.getElementById("api-key");
const MOST_CHARACTERS = 100_000;

function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function entered(form, place) {
  return [...form.querySelectorAll(`[data-place="${place}"]`)].flatMap((input) => {
    const values = "repeated" in input.dataset ? input.value.split("\n") : [input.value];
    return values.map((value) => value.trim()).filter(Boolean).map((value) => [input.dataset.name, value]);
  });
}

// What is sent: the address, and how fetch() and curl send it.
function requestOf(form) {
  const { method, path: template, file } = form.dataset;
  const inPath = new Map(entered(form, "path"));
  const path = template.replace(/\{(\w+)\}/g, (whole, name) => (inPath.has(name) ? encodeURIComponent(inPath.get(name)) : whole));
  const query = new URLSearchParams(entered(form, "query")).toString();
  const headers = Object.fromEntries(entered(form, "header"));
  if (key.value) headers.Authorization = `Bearer ${key.value.trim()}`;
  const parts = [];
  const files = [...(form.querySelector("input[type=file]")?.files ?? [])];
  const json = form.querySelector("[data-json]")?.value.trim();
  let body;
  if (file === "body") {
    headers["Content-Type"] = "application/offset+octet-stream";
    [body] = files;
    parts.push(`--data-binary @${quote(files[0]?.name ?? "photo.jpg")}`);
  } else if (file) {
    body = new FormData();
    for (const [name, value] of entered(form, "form")) {
      body.append(name, value);
      parts.push(`-F ${quote(`${name}=${value}`)}`);
    }
    for (const one of files) body.append(file, one);
    parts.push(...(files.length ? files : [{ name: "photo.jpg" }]).map((one) => `-F ${quote(`${file}=@${one.name}`)}`));
  } else if (json) {
    body = json;
    headers["Content-Type"] = "application/json";
    parts.push(`-d ${quote(json)}`);
  }
  const address = path + (query ? `?${query}` : "");
  const shown = Object.entries(headers).filter(([name]) => name !== "Content-Type" || file === "body");
  const curl = [
    "curl",
    ...(method === "GET" || (method === "POST" && parts.length) ? [] : [`-X ${method}`]),
    ...shown.map(([name, value]) => `-H ${quote(`${name}: ${name === "Authorization" ? "Bearer KEY" : value}`)}`),
    ...parts,
    quote(location.origin + address),
  ].join(" ");
  return { address, options: { method, headers, body }, curl };
}

function show(form, status, { text = "", blob = null, name = "" } = {}) {
  const answer = form.querySelector(".answer");
  const image = answer.querySelector(".answer-image");
  const file = answer.querySelector(".answer-file");
  const output = answer.querySelector(".answer-text");
  answer.hidden = false;
  answer.querySelector(".answer-status").textContent = status;
  URL.revokeObjectURL(file.href);
  const url = blob ? URL.createObjectURL(blob) : "";
  image.hidden = !blob || !blob.type.startsWith("image/");
  if (!image.hidden) image.src = url;
  file.hidden = !blob;
  if (blob) {
    file.href = url;
    file.download = name;
  }
  output.hidden = !text;
  output.textContent = text.slice(0, MOST_CHARACTERS);
}

async function send(form) {
  const { address, options } = requestOf(form);
  const response = await fetch(address, options);
  const status = `${response.status} ${response.statusText}`;
  const type = response.headers.get("Content-Type") ?? "";
  if (type.startsWith("text/event-stream")) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      show(form, status, { text });
    }
  }
  if (type.includes("json")) {
    show(form, status, { text: JSON.stringify(await response.json(), null, 2) });
  } else {
    const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "answer";
    const blob = await response.blob();
    const headers = [...response.headers].map((pair) => pair.join(": ")).join("\n");
    show(form, status, { text: headers, blob: blob.size ? blob : null, name });
  }
}

for (const form of document.querySelectorAll(".operation form")) {
  const update = () => {
    form.querySelector(".curl code").textContent = requestOf(form).curl;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await send(form);
    } catch (error) {
      show(form, translate("api_failed", { error: error.message }));
    } finally {
      button.disabled = false;
    }
  });
  update();
}
key.addEventListener("input", () => document.querySelectorAll(".operation form").forEach((form) => form.dispatchEvent(new Event("input"))));
