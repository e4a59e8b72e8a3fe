// Runs before the first paint, so that the styles know that scripts are enabled.
document.documentElement.classList.add("js");
