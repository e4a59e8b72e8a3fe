// The data and texts that the server embedded in the page.

let data = {};
let rules = new Intl.PluralRules("en");

export function readPageData() {
  const element = document.getElementById("page-data");
  data = element ? JSON.parse(element.textContent) : {};
  rules = new Intl.PluralRules(document.documentElement.lang);
  return data;
}

export function translate(key, values = {}) {
  let text = data.texts[`js_${key}`];
  if (typeof text !== "string") {
    const form = rules.select(values.n);
    text = text[form] ?? text.many;
  }
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const UNITS = { en: ["B", "kB", "MB", "GB"], ru: ["Б", "кБ", "МБ", "ГБ"] };

export function formatSize(bytes) {
  const language = document.documentElement.lang;
  let power = 0;
  let value = bytes;
  while (value >= 999.5 && power < 3) {
    value /= 1000;
    power += 1;
  }
  const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(value);
  return `${number} ${UNITS[language][power]}`;
}

// Formats a number as the page's language does, with at most so many decimals.
export function formatNumber(value, decimals = 0) {
  return new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: decimals, useGrouping: false }).format(value);
}

// Reads a number that a person wrote, with a point or a comma; NaN if it is none.
export function parseNumber(text) {
  return Number(text.trim().replace(",", "."));
}

export function announce(text) {
  const element = document.getElementById("announce");
  if (element) element.textContent = text;
}
