/**
 * What can be said about a script before it is spoken: its language and roughly its length.
 */

/** Speaking rates at speed 1.0, in units per second: characters for CJK, words for the rest. */
const CJK_CHARS_PER_S = 4.6;
const WORDS_PER_S = 2.6;

const CJK = /[\u3400-\u9fff\uf900-\ufaff]/g;
const KANA = /[\u3040-\u30ff]/g;
const WORD = /[\p{Script=Latin}\p{N}][\p{Script=Latin}\p{N}'’-]*/gu;

/** @param {string} text @param {RegExp} pattern */
const count = (text, pattern) => text.match(pattern)?.length ?? 0;

/**
 * @param {string} text
 * @returns {"zh"|"en"|"ja"|null} null when there is nothing to judge by
 */
export function guessLanguage(text) {
  const kana = count(text, KANA);
  const han = count(text, CJK);
  const words = count(text, WORD);
  // A fifth of kana among the CJK characters is never met in Chinese and always passed in Japanese.
  if (kana > 0 && kana >= (kana + han) / 5) return "ja";
  if (han >= words && han > 0) return "zh";
  return words > 0 ? "en" : null;
}

/**
 * Rough speaking time in seconds at `speed`.
 * @param {string} text
 * @param {number} speed
 */
export function estimateSeconds(text, speed) {
  const cjk = count(text, CJK) + count(text, KANA);
  return (cjk / CJK_CHARS_PER_S + count(text, WORD) / WORDS_PER_S) / speed;
}

/** Characters as people count them: an emoji or a rare Han character is one. @param {string} text */
export const countCharacters = (text) => [...text].length;

/**
 * The first line of a script, cut for use as a title.
 * @param {string} text
 * @param {number} [most]
 */
export function firstLine(text, most = 60) {
  const line = text.trim().split(/\r?\n/, 1)[0] ?? "";
  const characters = [...line];
  return characters.length > most ? characters.slice(0, most - 1).join("") + "…" : line;
}
