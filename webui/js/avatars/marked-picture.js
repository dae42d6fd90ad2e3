/**
 * A portrait with what the finder saw in it drawn over: the faces as frames, and the points it goes by.
 */
import { fill, freshId, h } from "../lib/dom.js";

/** @typedef {import("../types.js").Avatar} Avatar */

/** @param {number} fraction */
const percent = (fraction) => `${(fraction * 100).toFixed(2)}%`;

export class MarkedPicture {
  #picture = h("div", { class: "marked-picture" });
  #show = h("input", { type: "checkbox", checked: true, id: freshId("marks") });
  #choose;
  chosen = 0;

  /** @param {(index: number) => void} choose  gets the face that was chosen */
  constructor(choose) {
    this.#choose = choose;
    this.#show.addEventListener("change", () => this.#picture.classList.toggle("is-plain", !this.#show.checked));
    this.element = h(
      "div",
      { class: "marked" },
      this.#picture,
      h("label", { class: "tick", for: this.#show.id }, this.#show, h("span", { t: "avatarpage.show_marks" })),
    );
  }

  /** @param {Avatar} avatar */
  show(avatar) {
    this.chosen = avatar.chosen;
    const several = avatar.faces.length > 1;
    const name = freshId("face");
    fill(
      this.#picture,
      h("img", { src: avatar.image_url, alt: avatar.name, width: avatar.width, height: avatar.height }),
      ...avatar.faces.flatMap((face) => (face.marks ?? []).map((mark) => placed(h("span", { class: "mark-point", "aria-hidden": "true" }), { left: mark.x, top: mark.y }))),
      ...avatar.faces.map((face, index) => {
        const box = { left: face.x, top: face.y, width: face.w, height: face.h };
        if (!several) return placed(h("span", { class: "face-mark is-only", "aria-hidden": "true" }), box);
        const input = h("input", {
          type: "radio",
          name,
          class: "sr-only",
          checked: index === avatar.chosen,
          tLabel: ["faces.choose", { n: index + 1 }],
          onchange: () => {
            this.chosen = index;
            this.#choose(index);
          },
        });
        return placed(h("label", { class: "face-mark" }, input, h("span", {}, index + 1)), box);
      }),
    );
    this.#picture.style.setProperty("--ratio", String(avatar.width / avatar.height));
    if (several) this.#picture.setAttribute("role", "radiogroup");
    this.#picture.setAttribute("aria-label", avatar.name);
  }
}

/** @template {HTMLElement} E @param {E} element @param {Record<string, number>} box  fractions */
function placed(element, box) {
  for (const [side, fraction] of Object.entries(box)) element.style.setProperty(side, percent(fraction));
  return element;
}
