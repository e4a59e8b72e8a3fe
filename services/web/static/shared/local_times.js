// On every page: show what needs scripts, and convert times to local time.

export function showLocalTimes(root) {
  const form = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const formWithSeconds = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  for (const element of root.querySelectorAll("time[datetime]")) {
    const time = new Date(element.dateTime);
    if (Number.isNaN(time.getTime())) continue;
    element.textContent = ("seconds" in element.dataset ? formWithSeconds : form).format(time);
  }
}

for (const element of document.querySelectorAll(".only-js[hidden]")) {
  if (!element.id) element.hidden = false; // other scripts show those with an id
}
showLocalTimes(document);
