// The keys of the review. They are keys of the keyboard, not letters: the same in every layout.

const ACTIONS = {
  ArrowRight: "next",
  KeyN: "next",
  ArrowLeft: "previous",
  KeyP: "previous",
  KeyX: "toggleAll",
  KeyA: "add",
  KeyB: "mode",
  KeyD: "done",
  Enter: "apply",
  NumpadEnter: "apply",
  Equal: "zoomIn",
  NumpadAdd: "zoomIn",
  Minus: "zoomOut",
  NumpadSubtract: "zoomOut",
  Digit0: "zoomFit",
  Numpad0: "zoomFit",
};
const OWN_ENTER = "button, a, summary, input:not([type=checkbox]), select, [role=button]";

// Calls the actions by name; `toggle` with a number. Only keys that are pressed in the viewer count (WCAG 2.1.4).
export function listenForKeys(viewer, actions) {
  viewer.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, code } = event;
    if (target.matches("input:not([type=checkbox]), select, textarea")) return;
    // A region that has the focus has the arrow keys; so has a picture that is larger than its frame.
    if (code.startsWith("Arrow") && target.closest(".region, .zoomed")) return;
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code);
    if (digit) actions.toggle(Number(digit[1]) - 1);
    else if (ACTIONS[code] === "apply" && target.matches(OWN_ENTER) && !target.classList.contains("region")) return;
    else if (ACTIONS[code]) actions[ACTIONS[code]]();
    else return;
    event.preventDefault();
  });
}
