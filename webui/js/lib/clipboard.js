/**
 * Copying text. The clipboard exists only on HTTPS and loopback; elsewhere the text is selected for the user to copy.
 */

/**
 * @param {string} text
 * @param {Element} shown  the element that shows it
 * @returns {Promise<boolean>} whether it was copied
 */
export async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}
