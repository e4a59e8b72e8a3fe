// From the order's form to the order's page.

import { localise } from "./page.js";
import { startStatus } from "./status.js";

// Puts the order's page in the form's place: the files stay at hand, for the comparison of before and after.
export async function goTo(address, files) {
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
  addEventListener("popstate", () => location.reload());
  for (const link of document.querySelectorAll(".top [aria-current=page]")) link.removeAttribute("aria-current");
  document.querySelector(".languages [name=back]").value = address;
  localise(document);
  scrollTo(0, 0);
  document.getElementById("content").focus();
  startStatus(files);
}
