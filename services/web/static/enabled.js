// Before anything is drawn: the styles know from this class that scripts run.
document.documentElement.classList.add("js");
