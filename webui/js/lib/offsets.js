/**
 * Places in a text: the service counts characters, JavaScript counts UTF-16 units, of which an emoji has two.
 */

/**
 * @param {string} text
 * @returns {(place: number) => number} from the service's place to JavaScript's
 */
export function unitsOf(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (place) => place;
  /** @type {number[]} */
  const starts = [];
  let at = 0;
  for (const character of text) {
    starts.push(at);
    at += character.length;
  }
  return (place) => starts[place] ?? at;
}
