/**
 * Cutting a portrait again, in a dialog: the new cut becomes a portrait of its own.
 */
import { fill, h } from "../lib/dom.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { WHOLE } from "./crop-box.js";
import { Cropper } from "./cropper.js";

/** @typedef {import("../api/avatars.js").Crop} Crop */

/**
 * @param {{address: string, start: Crop|null, cut: (crop: Crop) => Promise<unknown>}} options  the picture, where the
 *   frame begins, and what makes the new portrait
 */
export async function openCropper({ address, start, cut }) {
  const cropper = new Cropper();
  const problem = h("div", {});
  const submit = h("button", { type: "submit", class: "button button-primary", t: "avatarpage.crop_do" }, icon("crop"));
  let busy = false;
  const dialog = h(
    "dialog",
    { class: "dialog crop-dialog", "aria-labelledby": "crop-title" },
    h(
      "form",
      {
        onsubmit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          if (busy) return;
          busy = true;
          submit.setAttribute("aria-disabled", "true");
          fill(problem);
          try {
            await cut(cropper.value ?? WHOLE);
            dialog.close();
          } catch (error) {
            fill(problem, problemBox(asProblem(error)));
          }
          busy = false;
          submit.setAttribute("aria-disabled", "false");
        },
      },
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: "crop-title", t: "avatarpage.crop_again" }),
        h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => dialog.close() }, icon("close")),
      ),
      cropper.element,
      problem,
      h("div", { class: "dialog-actions" }, h("p", { class: "quiet", t: "avatarpage.crop_new" }), submit),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  if (await cropper.show(address)) {
    if (start) cropper.set(start);
    cropper.focus();
  }
}
