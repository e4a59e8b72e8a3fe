// On every page: what only works with scripts is shown, and times are the reader's own.

export function localise(root) {
  const form = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const element of root.querySelectorAll("time[datetime]")) {
    const time = new Date(element.dateTime);
    if (!Number.isNaN(time.getTime())) element.textContent = form.format(time);
  }
}

for (const element of document.querySelectorAll(".only-js[hidden]")) {
  if (!element.id) element.hidden = false; // those with an id are shown when their time comes
}
localise(document);
