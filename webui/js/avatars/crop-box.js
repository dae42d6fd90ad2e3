/**
 * The arithmetic of a crop: a box within the picture, moved and sized, with or without a fixed shape. No page, no I/O.
 *
 * Boxes are fractions of the picture's sides. A `ratio` is width over height in these fractions, so a square of a
 * wide picture has a ratio below 1.
 */

/** @typedef {import("../api/avatars.js").Crop} Crop */
/** @typedef {"nw"|"ne"|"sw"|"se"} Corner */

/** @type {Crop} */
export const WHOLE = { x: 0, y: 0, w: 1, h: 1 };

/** @param {number} value @param {number} least @param {number} most */
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** @param {Crop} box @param {number} dx @param {number} dy @returns {Crop} */
export const moved = (box, dx, dy) => ({ ...box, x: clamp(box.x + dx, 0, 1 - box.w), y: clamp(box.y + dy, 0, 1 - box.h) });

/**
 * Pull one corner; the opposite one stays where it is.
 * @param {Crop} box
 * @param {Corner} corner
 * @param {number} dx
 * @param {number} dy
 * @param {{ratio: number|null, least: {w: number, h: number}}} rules
 * @returns {Crop}
 */
export function resized(box, corner, dx, dy, { ratio, least }) {
  const isLeft = corner.endsWith("w");
  const isTop = corner.startsWith("n");
  const anchorX = isLeft ? box.x + box.w : box.x;
  const anchorY = isTop ? box.y + box.h : box.y;
  const most = { w: isLeft ? anchorX : 1 - anchorX, h: isTop ? anchorY : 1 - anchorY };
  let w = clamp(box.w + (isLeft ? -dx : dx), Math.min(least.w, most.w), most.w);
  let h = clamp(box.h + (isTop ? -dy : dy), Math.min(least.h, most.h), most.h);
  if (ratio !== null) {
    // The side that was pulled further leads.
    w = Math.abs(dx) * (1 / ratio) >= Math.abs(dy) ? w : h * ratio;
    w = clamp(w, Math.max(least.w, least.h * ratio), Math.min(most.w, most.h * ratio));
    w = Math.min(w, most.w, most.h * ratio);
    h = w / ratio;
  }
  return { x: isLeft ? anchorX - w : anchorX, y: isTop ? anchorY - h : anchorY, w, h };
}

/**
 * The largest box of a shape around the middle of another one, within the picture.
 * @param {Crop} box
 * @param {number|null} ratio
 * @returns {Crop}
 */
export function shaped(box, ratio) {
  if (ratio === null) return box;
  // As much as before or less, so that choosing one shape after the other does not grow without end.
  let w = Math.min(1, box.w, box.h * ratio);
  let h = w / ratio;
  if (h > 1) [w, h] = [ratio, 1];
  return moved({ x: box.x + (box.w - w) / 2, y: box.y + (box.h - h) / 2, w, h }, 0, 0);
}

/** How far head and shoulders reach beyond a face, in its own size: sides, above, below. */
const BESIDE = 0.9;
const ABOVE = 0.7;
const BELOW = 1.3;

/** Head and shoulders around a face. @param {import("../types.js").Face} face @returns {Crop} */
export function aroundFace(face) {
  const x = clamp(face.x - face.w * BESIDE, 0, 1);
  const y = clamp(face.y - face.h * ABOVE, 0, 1);
  return { x, y, w: clamp(face.x + face.w * (1 + BESIDE), 0, 1) - x, h: clamp(face.y + face.h * (1 + BELOW), 0, 1) - y };
}

/**
 * A box of a portrait as a box of the picture that it was cut from.
 * @param {Crop} box
 * @param {Crop|null} crop  null: the portrait is all of it
 * @returns {Crop}
 */
export const withinOriginal = (box, crop) => (crop ? { x: crop.x + box.x * crop.w, y: crop.y + box.y * crop.h, w: box.w * crop.w, h: box.h * crop.h } : box);

/** @param {Crop} box */
export const isWhole = ({ x, y, w, h }) => x < 0.001 && y < 0.001 && w > 0.999 && h > 0.999;
