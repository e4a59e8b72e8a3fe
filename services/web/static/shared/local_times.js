// On every page: show what needs scripts, and convert times to local time. Days without a time stay as they are.

export function showLocalTimes(root) {
  const form = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const formWithSeconds = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  const formOfDays = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeZone: "UTC" });
  for (const element of root.querySelectorAll("time[datetime]")) {
    const time = new Date(element.dateTime);
    if (Number.isNaN(time.getTime())) continue;
    const day = !element.dateTime.includes("T");
    element.textContent = (day ? formOfDays : "seconds" in element.dataset ? formWithSeconds : form).format(time);
  }
}

for (const element of document.querySelectorAll(".only-js[hidden]")) {
  if (!element.id) element.hidden = false; // other scripts show those with an id
}
showLocalTimes(document);
