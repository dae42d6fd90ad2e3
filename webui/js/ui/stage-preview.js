/**
 * What the next video will show: the chosen portrait in the chosen shape.
 */
import { h, fill } from "../lib/dom.js";
import { form } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { avatarPicture } from "./avatar-picture.js";
import { onFields } from "./fields.js";
import { icon } from "./icons.js";

/**
 * Give a frame the shape of a video.
 * @param {HTMLElement} frame
 * @param {string} aspect
 * @param {import("../types.js").Avatar} [avatar]
 * @returns {number} width by height
 */
export function shapeFrame(frame, aspect, avatar) {
  const known = /** @type {Record<string, number>} */ ({ "16:9": 16 / 9, "9:16": 9 / 16 })[aspect];
  const ofSource = aspect === "source" && avatar ? avatar.width / avatar.height : 1;
  frame.style.setProperty("--ratio", String(known ?? ofSource));
  return known ?? ofSource;
}

/** Element that follows the composer. */
export function stagePreview() {
  const frame = h("div", { class: "frame" });
  const update = () => {
    const avatar = library.avatar(form.value.avatarId);
    const { aspect, twoSpeakers, faceIndex } = form.value;
    const ratio = shapeFrame(frame, aspect, avatar);
    // Both of two people are seen.
    frame.classList.toggle("is-whole", twoSpeakers);
    const attributes = { class: "frame-picture", alt: avatar ? displayName(avatar) : "" };
    if (avatar && twoSpeakers) fill(frame, h("img", { src: avatar.thumbnail_url, ...attributes }));
    else if (avatar) fill(frame, avatarPicture(avatar, attributes, { ratio, face: faceIndex }));
    else fill(frame, h("div", { class: "frame-empty" }, icon("person"), h("p", { t: "stage.no_portrait" })));
  };
  onFields(["avatarId", "aspect", "twoSpeakers", "faceIndex"], update);
  library.addEventListener("avatars", update);
  document.addEventListener("localechange", update);
  return h("div", { class: "stage-preview" }, frame, h("p", { class: "quiet stage-caption", t: "stage.preview_caption" }));
}
