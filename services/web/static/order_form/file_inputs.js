// Files and folders from dialogs, from drag and drop anywhere on the page, and from the clipboard.
//
// A browser that can keep handles of files (File System Access API) hands them over as `sources`: they find the same files
// again after a reload.

import { isImage } from "./selected_images.js";

// `add(files, { others, sources })`: images of folders, how many other files were in them, and handles.
export function acceptFiles({ form, drop, add }) {
  const files = document.getElementById("files");
  files.addEventListener("change", () => {
    add([...files.files], {});
    files.value = ""; // so that the same file can be selected again
  });
  acceptFolder({ button: document.getElementById("choose-folder"), input: document.getElementById("folder"), add });
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  document.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (carriesFiles(event) && (depth -= 1) <= 0) drop.classList.remove("over");
  });
  document.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", async (event) => {
    depth = 0;
    drop.classList.remove("over");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (!document.contains(form)) return;
    const dropped = await readDropped(event.dataTransfer);
    add(dropped.files, dropped);
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length && document.contains(form)) {
      event.preventDefault();
      add(pasted, {});
    }
  });
}

// A button that opens the dialog for a folder: the one whose handle can be kept, if there is one.
export function acceptFolder({ button, input, add }) {
  const canChoose = "showDirectoryPicker" in window || "webkitdirectory" in input;
  button.hidden = !canChoose || matchMedia("(hover: none)").matches; // phones have no dialog for folders
  button.addEventListener("click", async () => {
    if (!("showDirectoryPicker" in window)) {
      input.click();
      return;
    }
    try {
      const folder = await window.showDirectoryPicker({ id: "images" });
      const found = await readHandles([folder]);
      add(found.files, found);
    } catch (error) {
      if (error.name !== "AbortError") input.click(); // not allowed here: the dialog without a handle
    }
  });
  input.addEventListener("change", () => {
    const found = imagesOf([...input.files]);
    add(found.files, found);
    input.value = "";
  });
}

// The images that handles lead to, in folders, too.
export async function readHandles(handles) {
  const direct = [];
  const inFolders = [];
  for (const handle of handles) {
    if (handle.kind === "file") direct.push(await handle.getFile());
    else await walk(handle, inFolders);
  }
  const found = imagesOf(inFolders);
  return { files: [...direct, ...found.files], others: found.others, sources: handles };
}

async function walk(folder, files) {
  const entries = [];
  for await (const entry of folder.values()) if (!entry.name.startsWith(".")) entries.push(entry);
  entries.sort((a, b) => a.name.localeCompare(b.name));
  for (const entry of entries) {
    if (entry.kind === "file") files.push(await entry.getFile());
    else await walk(entry, files);
  }
}

// What was dropped is there only until the event's end: everything is asked for at once.
async function readDropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  if (items.length && items[0].getAsFileSystemHandle) {
    const all = [...transfer.files];
    const handles = (await Promise.all(items.map((item) => item.getAsFileSystemHandle().catch(() => null)))).filter(Boolean);
    return handles.length === items.length ? readHandles(handles) : { files: all };
  }
  const entries = items.map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return { files: [...transfer.files] };
  const direct = [];
  const inFolders = [];
  for (const entry of entries) if (entry) await walkEntry(entry, entry.isDirectory ? inFolders : direct);
  const found = imagesOf(inFolders);
  return { files: [...direct, ...found.files], others: found.others };
}

async function walkEntry(entry, files) {
  if (entry.isFile) {
    files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    if (!some.length) break;
    entries.push(...some.filter((each) => !each.name.startsWith(".")));
  }
  entries.sort((a, b) => a.name.localeCompare(b.name));
  for (const each of entries) await walkEntry(each, files);
}

// A folder has other files, too, which nobody has chosen.
function imagesOf(files) {
  const visible = files.filter((file) => !file.name.startsWith("."));
  const images = visible.filter(isImage);
  return { files: images, others: visible.length - images.length };
}
