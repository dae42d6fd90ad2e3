/**
 * A question before something is lost, as a modal dialog that names what is lost.
 */
import { h } from "../lib/dom.js";

/**
 * @param {{title: string, body: [string, import("../lib/i18n.js").Params], action: string, keep?: string}} question
 *   keys of the locale table; `keep`: what the answer says that loses nothing
 * @returns {Promise<boolean>} whether the user agreed
 */
export function confirmLoss({ title, body, action, keep = "confirm.keep" }) {
  const dialog = h(
    "dialog",
    { class: "dialog dialog-small", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-body" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "confirm-title", t: title }),
      h("p", { id: "confirm-body", t: body }),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { value: "no", class: "button", t: keep }),
        h("button", { value: "yes", class: "button button-danger", t: action }),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
