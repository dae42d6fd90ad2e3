/**
 * One error, readably: a localised title by its code, the service's sentence, the fix, and the code
 * itself to copy. Nothing of it is ever read as HTML.
 */
import { ApiError } from "../api/client.js";
import { h } from "../lib/dom.js";
import { bindText, hasText } from "../lib/i18n.js";
import { icon } from "./icons.js";

const COPIED_SHOWN_MS = 1500;

/** Any thrown thing as an `ApiError`. @param {unknown} error */
export function asProblem(error) {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError({ code: "page_error", detail: error instanceof Error ? error.message : String(error) });
}

/** @param {string} code */
export const problemTitleKey = (code) => (hasText(`error.${code}`) ? `error.${code}` : "error.unknown");

/**
 * @param {{code: string, detail: string, hint?: string|null, fields?: {field: string, message: string}[]}} problem
 * @param {{actions?: Node[]}} [options]
 */
export function problemBox(problem, { actions = [] } = {}) {
  const hintKey = `hint.${problem.code}`;
  const hint = problem.hint
    ? h("p", { class: "notice-hint" }, problem.hint)
    : hasText(hintKey) && h("p", { class: "notice-hint", t: hintKey });
  const fields = (problem.fields ?? []).map((item) => h("li", {}, `${item.field}: ${item.message}`));
  return h(
    "div",
    { class: "notice notice-error", role: "alert" },
    icon("error"),
    h(
      "div",
      { class: "notice-body" },
      h("p", { class: "notice-title", t: problemTitleKey(problem.code) }),
      problem.detail && h("p", {}, problem.detail),
      fields.length > 0 && h("ul", {}, ...fields),
      hint,
      h("div", { class: "notice-actions" }, ...actions, copyableCode(problem.code)),
    ),
  );
}

/** @param {string} code */
function copyableCode(code) {
  const label = h("span", { class: "sr-only", t: "problem.copy" });
  const button = h("button", { type: "button", class: "code-chip" }, h("code", {}, code), icon("copy"), label);
  button.addEventListener("click", async () => {
    const done = await copyText(code, button);
    bindText(label, done ? "problem.copied" : "problem.copy_failed");
    button.dataset.copied = String(done);
    setTimeout(() => {
      delete button.dataset.copied;
      bindText(label, "problem.copy");
    }, COPIED_SHOWN_MS);
  });
  return button;
}

/**
 * The clipboard exists only on HTTPS and loopback; elsewhere the text is selected for the user to copy.
 * @param {string} text
 * @param {Element} shown
 */
async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown.querySelector("code") ?? shown);
    return false;
  }
}
