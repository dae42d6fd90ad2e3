/**
 * Spoken news for screen readers, through the one polite live region of the page.
 */
import { byId } from "../lib/dom.js";

/** Screen readers speak a change: long enough for them to see the region empty, so that an equal sentence is one too. */
const EMPTY_MS = 50;

/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;

/** Say it, also when it is what was said last. @param {string} sentence */
export function announce(sentence) {
  if (!sentence) return;
  const live = byId("live");
  clearTimeout(timer);
  live.textContent = "";
  timer = setTimeout(() => {
    live.textContent = sentence;
  }, EMPTY_MS);
}
