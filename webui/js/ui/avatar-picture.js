/**
 * The picture of a portrait where less of it is shown than there is: around the face that speaks, as the video will be.
 */
import { h } from "../lib/dom.js";

/** @typedef {import("../types.js").Avatar} Avatar */

/** Where the middle of a face lies in what is shown, from the top: the service cuts alike (utils/media/cut.py). */
const FACE_HEIGHT = 0.38;

/**
 * @param {Avatar} avatar
 * @param {Record<string, unknown>} attributes  of the image
 * @param {{ratio?: number, face?: number|null}} [shown]  width by height of the frame, and whose face; else a square and the chosen one
 */
export function avatarPicture(avatar, attributes, { ratio = 1, face = null } = {}) {
  const picture = h("img", { src: avatar.thumbnail_url, ...attributes });
  const found = avatar.faces[face ?? avatar.chosen];
  if (found) {
    const own = avatar.width / avatar.height;
    const across = place(found.x + found.w / 2, 0.5, Math.min(1, ratio / own));
    const down = place(found.y + found.h / 2, FACE_HEIGHT, Math.min(1, own / ratio));
    picture.style.objectPosition = `${across} ${down}`;
  }
  return picture;
}

/**
 * Where a part of a side begins, in CSS' measure: how much of what is left over lies before it.
 * @param {number} middle  of the face, 0 to 1
 * @param {number} at  where it is to lie within the part
 * @param {number} part  how much of the side is shown, 0 to 1
 */
function place(middle, at, part) {
  const over = 1 - part;
  if (over < 0.001) return "50%";
  const start = Math.min(over, Math.max(0, middle - at * part));
  return `${((start / over) * 100).toFixed(1)}%`;
}
