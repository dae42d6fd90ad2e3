/**
 * Where the page is: `#/<screen>/<rest>`. `#/` and `#/jobs/<id>` are the Studio. Fires `routechange` on the document.
 */
import { SCREENS } from "./screens.js";

/**
 * @typedef {object} Route
 * @property {string} name  a key of `SCREENS`
 * @property {string[]} params  what follows in the address
 */

/** Other words of the address and the screen that they open. @type {Record<string, string>} */
const ALSO = { "": "studio", jobs: "studio" };

/** @type {Route} */
let current = read();

/** @returns {Route} */
function read() {
  const [word = "", ...params] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const name = ALSO[word] ?? word;
  return Object.hasOwn(SCREENS, name) ? { name, params: params.filter(Boolean) } : { name: "studio", params: [] };
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @returns {Route} */
export const route = () => current;

/** Open an address: `go("#/library")`. The same one again is told again. @param {string} hash */
export function go(hash) {
  if (location.hash === hash) changed();
  else location.hash = hash;
}

function changed() {
  // "#script" and the like are places within the screen that is shown.
  if (location.hash && !location.hash.startsWith("#/")) return;
  current = read();
  document.dispatchEvent(new CustomEvent("routechange", { detail: current }));
}

addEventListener("hashchange", changed);
