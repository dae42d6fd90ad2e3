/**
 * Two languages, one table each (`/static/locales/*.json`, flat keys, `{name}` placeholders). Where `{n}` counts
 * things, `<key>_one` is what is said of one.
 *
 * Elements carry their key in `data-i18n` (text) or `data-i18n-<attribute>` and are translated in
 * place, so that a switch keeps focus, playback and half-typed text.
 */
import { readPref, writePref } from "./prefs.js";

/** @typedef {"zh-CN"|"en"} Locale */
/** @typedef {Record<string, string|number>} Params */

/** @type {Locale[]} */
export const LOCALES = ["zh-CN", "en"];

/** Attributes that may be translated; `data-i18n-<attribute>` holds the key. */
const ATTRIBUTES = ["aria-label", "placeholder", "title", "alt", "label"];

/** @type {Locale} */
let current = "en";
/** @type {Record<string, string>} */
let table = {};
let plurals = new Intl.PluralRules(current);

/** @returns {Locale} */
export const locale = () => current;

/** @returns {boolean} */
export const isChinese = () => current === "zh-CN";

/**
 * The stored choice, else the first language of the browser that we speak, else English.
 * @returns {Locale}
 */
export function preferredLocale() {
  const stored = LOCALES.find((name) => name === readPref("lang", /** @type {string} */ ("")));
  if (stored) return stored;
  for (const tag of navigator.languages ?? [navigator.language]) {
    if (/^zh\b/i.test(tag)) return "zh-CN";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

/**
 * Fetch a table, make it current and translate the document.
 * @param {Locale} next
 * @param {{remember?: boolean}} [options]
 */
export async function useLocale(next, { remember = false } = {}) {
  const answer = await fetch(`/static/locales/${next}.json`);
  if (!answer.ok) throw new Error(`locale ${next}: HTTP ${answer.status}`);
  table = await answer.json();
  current = next;
  plurals = new Intl.PluralRules(next);
  document.documentElement.lang = next;
  if (remember) writePref("lang", next);
  translate(document.documentElement);
  document.dispatchEvent(new CustomEvent("localechange", { detail: next }));
}

/** @param {string} key */
export const hasText = (key) => Object.hasOwn(table, key);

/** The text of a key, in its form for one where it has that and `n` asks for it. @param {string} key @param {Params} params */
function textOf(key, params) {
  const one = table[`${key}_one`];
  return one !== undefined && "n" in params && plurals.select(Number(params.n)) === "one" ? one : table[key];
}

/**
 * @param {string} key
 * @param {Params} [params]
 * @returns {string}
 */
export function t(key, params = {}) {
  const text = textOf(key, params);
  if (text === undefined) {
    console.error(`missing text: ${key}`);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

/**
 * Bind an element's text to a key and set it now.
 * @param {Element} element
 * @param {string} key
 * @param {Params} [params]
 */
export function bindText(element, key, params) {
  const node = /** @type {HTMLElement} */ (element);
  node.dataset.i18n = key;
  if (params) node.dataset.i18nParams = JSON.stringify(params);
  else delete node.dataset.i18nParams;
  const text = t(key, params);
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Bind an attribute to a key and set it now.
 * @param {Element} element
 * @param {string} attribute
 * @param {string} key
 * @param {Params} [params]
 */
export function bindAttribute(element, attribute, key, params) {
  element.setAttribute(`data-i18n-${attribute}`, key);
  if (params) element.setAttribute(`data-i18n-${attribute}-params`, JSON.stringify(params));
  element.setAttribute(attribute, t(key, params));
}

/** @param {Element} root */
export function translate(root) {
  for (const node of root.querySelectorAll("[data-i18n]")) {
    const { i18n, i18nParams } = /** @type {HTMLElement} */ (node).dataset;
    node.textContent = t(i18n ?? "", i18nParams ? JSON.parse(i18nParams) : undefined);
  }
  for (const attribute of ATTRIBUTES) {
    for (const node of root.querySelectorAll(`[data-i18n-${attribute}]`)) {
      const params = node.getAttribute(`data-i18n-${attribute}-params`);
      const key = node.getAttribute(`data-i18n-${attribute}`) ?? "";
      node.setAttribute(attribute, t(key, params ? JSON.parse(params) : undefined));
    }
  }
}
