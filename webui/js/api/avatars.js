/**
 * Endpoints of the portraits beyond what the Studio needs: names, crops.
 */
import { LONG_TIMEOUT_MS, request } from "./client.js";

/** @typedef {import("../types.js").Avatar} Avatar */
/** @typedef {{x: number, y: number, w: number, h: number}} Crop  fractions 0..1 of the picture */

/** @param {string} id */
const avatarPath = (id) => `/api/avatars/${encodeURIComponent(id)}`;

/** @param {Crop} crop */
export const cropText = ({ x, y, w, h }) => [x, y, w, h].map((value) => value.toFixed(5)).join(",");

/**
 * @param {File} file
 * @param {{name: string, crop: Crop|null}} options
 * @returns {Promise<Avatar>}
 */
export function addAvatar(file, { name, crop }) {
  const form = new FormData();
  form.set("image_file", file);
  form.set("name", name);
  if (crop) form.set("crop", cropText(crop));
  return request("/api/avatars", { method: "POST", form, timeoutMs: LONG_TIMEOUT_MS });
}

/** With the finder's marks, which the list leaves out. @param {string} id @returns {Promise<Avatar>} */
export const getAvatar = (id) => request(avatarPath(id));

/** @param {string} id @param {string} name @returns {Promise<Avatar>} */
export const renameAvatar = (id, name) => request(avatarPath(id), { method: "PATCH", json: { name } });

/** A new portrait cut from the picture that was kept. @param {string} id @param {Crop} crop @returns {Promise<Avatar>} */
export const cropAvatar = (id, crop) =>
  request(`${avatarPath(id)}/crop`, { method: "POST", json: crop, timeoutMs: LONG_TIMEOUT_MS });
