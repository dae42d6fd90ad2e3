/**
 * Spoken news for screen readers, through the one polite live region of the page.
 */
import { byId } from "../lib/dom.js";

let last = "";

/** Say it once; the same sentence twice in a row is not repeated. @param {string} sentence */
export function announce(sentence) {
  if (!sentence || sentence === last) return;
  last = sentence;
  byId("live").textContent = sentence;
}
