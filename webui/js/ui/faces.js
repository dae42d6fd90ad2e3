/**
 * Choosing who speaks in a picture with several faces: numbered marks on the picture, and letters when two people talk.
 */
import { h } from "../lib/dom.js";
import { form } from "../state/form.js";

/** @typedef {import("../types.js").Avatar} Avatar */

/** @param {number} fraction */
const percent = (fraction) => `${(fraction * 100).toFixed(2)}%`;

/** @param {Avatar} avatar */
export function faceChooser(avatar) {
  const { twoSpeakers, speaking, faceIndex } = form.value;
  const pair = twoSpeakers ? form.pair() : null;
  const second = speaking === "B";
  const chosen = pair ? pair[second ? 1 : 0] : (faceIndex ?? avatar.chosen);
  const names = form.names;
  // Names are too long for a mark; where they begin alike, the letters of the form tell them apart.
  const first = names.map((name) => [...name][0] ?? "");
  const initials = first[0] === first[1] ? ["A", "B"] : first;
  const marks = avatar.faces.map((face, index) => {
    const input = h("input", {
      type: "radio",
      name: "face",
      class: "sr-only",
      value: index,
      checked: index === chosen,
      tLabel: ["faces.choose", { n: index + 1 }],
      onchange: () => choose(index),
    });
    input.addEventListener("refocus", () => input.focus());
    const mark = h(
      "label",
      { class: "face-mark" },
      input,
      h("span", {}, pair ? (initials[pair.indexOf(index)] ?? index + 1) : index + 1),
    );
    mark.style.left = percent(face.x);
    mark.style.top = percent(face.y);
    mark.style.width = percent(face.w);
    mark.style.height = percent(face.h);
    return mark;
  });
  const title = pair ? ["faces.title_of", { name: names[second ? 1 : 0] }] : "faces.title";
  return h(
    "div",
    { class: "faces" },
    h("p", { class: "quiet", t: title }),
    h(
      "div",
      { class: "faces-picture", role: "radiogroup", tLabel: title },
      h("img", { src: avatar.image_url, alt: "", width: avatar.width, height: avatar.height }),
      ...marks,
    ),
  );
}

/** The other one of a pair takes the face that is left. @param {number} index */
function choose(index) {
  const pair = form.value.twoSpeakers ? form.pair() : null;
  if (!pair) {
    form.set({ faceIndex: index });
    return;
  }
  const [mine, other] = form.value.speaking === "B" ? [1, 0] : [0, 1];
  const faces = [...pair];
  if (faces[other] === index) faces[other] = faces[mine];
  faces[mine] = index;
  form.set({ faceA: faces[0], faceB: faces[1] });
}
