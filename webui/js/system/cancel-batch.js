/**
 * The question before a whole batch is cancelled. Its answers name what they do: beside the usual "Keep", a button that
 * says "Cancel" reads as the one that closes the question.
 */
import { h } from "../lib/dom.js";

/**
 * @param {string} name  of the batch
 * @returns {Promise<boolean>} whether it is to be cancelled
 */
export function confirmCancel(name) {
  const dialog = h(
    "dialog",
    { class: "dialog dialog-small", "aria-labelledby": "cancel-batch-title", "aria-describedby": "cancel-batch-body" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "cancel-batch-title", t: "batches.cancel_title" }),
      h("p", { id: "cancel-batch-body", t: ["batches.cancel_body", { name }] }),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { value: "no", class: "button", t: "batches.keep" }),
        h("button", { value: "yes", class: "button button-danger", t: "batches.cancel_all" }),
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
