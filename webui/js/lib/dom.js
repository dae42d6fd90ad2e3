/**
 * Building elements without HTML strings: text always goes in as text.
 */
import { bindAttribute, bindText } from "./i18n.js";

/** @typedef {Node|string|number|null|undefined|false} Child */
/** @typedef {string|[string, import("./i18n.js").Params]} TextKey */

/** Properties that translate an attribute: property name -> attribute. */
const TRANSLATED = { tLabel: "aria-label", tPlaceholder: "placeholder", tTitle: "title", tAlt: "alt" };

/** @param {TextKey} key */
const parts = (key) => (Array.isArray(key) ? key : [key, undefined]);

/**
 * `h("button", {class: "primary", onclick: fn, t: "save"}, icon)`: `t` binds the text to a key,
 * `tLabel`, `tPlaceholder`, `tTitle`, `tAlt` bind attributes, `on…` adds listeners, `true` sets a
 * bare attribute, and `false`, `null`, `undefined` leave it out.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "t") {
      const [key, params] = parts(value);
      const target = children.length ? document.createElement("span") : element;
      bindText(target, /** @type {string} */ (key), /** @type {any} */ (params));
      if (target !== element) children.push(target);
    } else if (name in TRANSLATED) {
      const [key, params] = parts(value);
      const attribute = TRANSLATED[/** @type {keyof typeof TRANSLATED} */ (name)];
      bindAttribute(element, attribute, /** @type {string} */ (key), /** @type {any} */ (params));
    } else if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (name === "value" || name === "checked") {
      /** @type {any} */ (element)[name] = value;
      if (name === "value" && tag !== "textarea") element.setAttribute("value", String(value));
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

/**
 * @param {Element} parent
 * @param {Child[]} children
 */
export function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Replace the content of `parent`.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * The element with this id; a missing one is a mistake in the page.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

let serial = 0;

/**
 * An id that no other element of the page has.
 * @param {string} stem
 */
export const freshId = (stem) => `${stem}-${++serial}`;

/**
 * Call `work` once, `wait` milliseconds after the last call.
 * @param {() => void} work
 * @param {number} wait
 */
export function debounce(work, wait) {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}
