// The page's facts and words, as the server has put them into the page.

let facts = {};
let rules = new Intl.PluralRules("en");

export function readFacts() {
  const element = document.getElementById("facts");
  facts = element ? JSON.parse(element.textContent) : {};
  rules = new Intl.PluralRules(document.documentElement.lang);
  return facts;
}

export function say(key, values = {}) {
  let text = facts.words[`js_${key}`];
  if (typeof text !== "string") {
    const form = rules.select(values.n);
    text = text[form] ?? text.many;
  }
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const UNITS = { en: ["B", "kB", "MB", "GB"], ru: ["Б", "кБ", "МБ", "ГБ"] };

export function size(bytes) {
  const language = document.documentElement.lang;
  let power = 0;
  let rest = bytes;
  while (rest >= 999.5 && power < 3) {
    rest /= 1000;
    power += 1;
  }
  const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(rest);
  return `${number} ${UNITS[language][power]}`;
}

export function announce(text) {
  const element = document.getElementById("announce");
  if (element) element.textContent = text;
}
