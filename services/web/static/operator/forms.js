// Fills in the browser's time zone, and copies a new key.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) {
  for (const field of document.querySelectorAll("input.zone-name")) {
    // A filter that came with a zone keeps it: its times are of that zone.
    if (!field.value) field.value = zone;
  }
  for (const label of document.querySelectorAll("small.zone")) {
    const field = label.closest("form").querySelector("input.zone-name");
    label.textContent = field.value.split("/").pop().replaceAll("_", " ");
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.parentElement.querySelector("[role=status]").textContent = button.dataset.copied;
    } catch {
      getSelection().selectAllChildren(source); // ready for Ctrl-C
    }
  });
}
