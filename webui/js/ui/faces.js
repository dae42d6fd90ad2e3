/**
 * Choosing who speaks in a picture with several faces: numbered marks on the picture.
 */
import { h } from "../lib/dom.js";
import { form } from "../state/form.js";

/** @typedef {import("../types.js").Avatar} Avatar */

/** @param {number} fraction */
const percent = (fraction) => `${(fraction * 100).toFixed(2)}%`;

/** @param {Avatar} avatar */
export function faceChooser(avatar) {
  const chosen = form.value.faceIndex ?? avatar.chosen;
  const marks = avatar.faces.map((face, index) => {
    const mark = h(
      "label",
      { class: "face-mark" },
      h("input", {
        type: "radio",
        name: "face",
        class: "sr-only",
        value: index,
        checked: index === chosen,
        tLabel: ["faces.choose", { n: index + 1 }],
        onchange: () => form.set({ faceIndex: index }),
      }),
      h("span", {}, index + 1),
    );
    mark.style.left = percent(face.x);
    mark.style.top = percent(face.y);
    mark.style.width = percent(face.w);
    mark.style.height = percent(face.h);
    return mark;
  });
  return h(
    "div",
    { class: "faces" },
    h("p", { class: "quiet", t: "faces.title" }),
    h(
      "div",
      { class: "faces-picture", role: "radiogroup", tLabel: "faces.title" },
      h("img", { src: avatar.image_url, alt: "", width: avatar.width, height: avatar.height }),
      ...marks,
    ),
  );
}
