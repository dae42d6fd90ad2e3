/**
 * A small dialog that asks for a name: of a folder, of a video.
 */
import { fill, h } from "../lib/dom.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";

/**
 * The dialog closes when `save` succeeds and stays, with the reason, when it does not.
 * @param {{title: string, label: string, action: string, value?: string, maxlength: number}} question  keys, the name so far
 * @param {(name: string) => Promise<unknown>} save
 */
export function askName({ title, label, action, value = "", maxlength }, save) {
  const problem = h("div", {});
  const input = h("input", { type: "text", id: "ask-name", class: "input", maxlength, autocomplete: "off" });
  input.value = value;
  const dialog = h(
    "dialog",
    { class: "dialog dialog-small", "aria-labelledby": "ask-title" },
    h(
      "form",
      {
        onsubmit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          const name = input.value.trim();
          if (!name) {
            input.focus();
            return;
          }
          try {
            await save(name);
            dialog.close();
          } catch (error) {
            fill(problem, problemBox(asProblem(error)));
          }
        },
      },
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: "ask-title", t: title }),
        h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => dialog.close() }, icon("close")),
      ),
      h("div", { class: "field" }, h("label", { class: "field-label", for: "ask-name", t: label }), input),
      problem,
      h("div", { class: "dialog-actions" }, h("button", { type: "submit", class: "button button-primary", t: action })),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  input.select();
}
