// Opens the page of an order from the form.

import { startStatus } from "../order_status/order_status.js";
import { showLocalTimes } from "../shared/local_times.js";

// The address whose content the page shows. Back and Forward change the address alone, also after a reload; links within
// the page keep it.
let shown = location.pathname;
addEventListener("popstate", () => {
  if (location.pathname !== shown) location.reload();
});

// Replaces the form with the order's page, which keeps the files for comparing before and after.
export async function openOrder(address, files) {
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  if (!response.ok) {
    location.assign(address);
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
  document.title = page.title;
  const policy = document.createElement("meta");
  policy.name = "referrer";
  policy.content = "no-referrer";
  document.head.append(policy);
  history.pushState(null, "", address);
  shown = location.pathname;
  for (const link of document.querySelectorAll(".top [aria-current=page]")) link.removeAttribute("aria-current");
  document.querySelector(".languages [name=back]").value = address;
  showLocalTimes(document);
  scrollTo(0, 0);
  document.getElementById("content").focus();
  startStatus(files);
}
