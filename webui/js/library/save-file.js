/**
 * Hands a file that the page holds to the browser's downloads.
 */
import { h } from "../lib/dom.js";

/** The browser has read the address by then. */
const KEEP_MS = 60_000;

/** @param {Blob} blob @param {string} name */
export function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), KEEP_MS);
}
