// Files from the file dialog, from drag and drop anywhere on the page, and from the clipboard.

export function acceptFiles({ form, drop, add }) {
  document.getElementById("files").addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = ""; // so that the same file can be selected again
  });
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
  document.addEventListener("drop", (event) => {
    depth = 0;
    drop.classList.remove("over");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (document.contains(form)) add([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length && document.contains(form)) {
      event.preventDefault();
      add(files);
    }
  });
}
