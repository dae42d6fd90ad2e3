/**
 * One error, readably: what happened and what to do in the page's language, found by its code; the
 * service's own English words and the code to copy. Nothing of it is ever read as HTML.
 */
import { ApiError } from "../api/client.js";
import { h } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { icon } from "./icons.js";
import { causeOf, fixOf } from "./wording.js";

const COPIED_SHOWN_MS = 1500;

/** Any thrown thing as an `ApiError`. @param {unknown} error */
export function asProblem(error) {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError({ code: "page_error", detail: error instanceof Error ? error.message : String(error) });
}

/**
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} detail
 * @property {string|null} [hint]
 * @property {string|null} [reference]  id of the request or job, to be quoted
 * @property {string|null} [engine]  name of the engine that it happened to
 * @property {{field: string, message: string}[]} [fields]
 */

/**
 * @param {Problem} problem
 * @param {{actions?: Node[]}} [options]
 */
export function problemBox(problem, { actions = [] } = {}) {
  const cause = causeOf(problem.code, problem.engine);
  const fix = fixOf(problem.code, problem.engine);
  return h(
    "div",
    { class: "notice notice-error", role: "alert" },
    icon("error"),
    h(
      "div",
      { class: "notice-body" },
      h("p", { class: "notice-title", t: cause }),
      problem.detail && problem.detail !== t(...cause) && h("p", { class: "in-english", lang: "en" }, problem.detail),
      h("p", { class: "notice-hint", t: fix }),
      problemDetails(problem, t(...fix)),
      h("div", { class: "notice-actions" }, ...actions, copyableCode(problem.code)),
    ),
  );
}

/** @param {Problem} problem @param {string} fix  what is said already */
function problemDetails({ detail, hint, reference, fields = [] }, fix) {
  const words = [
    detail && h("p", { class: "not-in-english", lang: "en" }, detail),
    fields.length > 0 && h("ul", { lang: "en" }, ...fields.map((item) => h("li", {}, `${item.field}: ${item.message}`))),
    hint && hint !== fix && h("p", { lang: "en" }, hint),
    reference && h("p", { t: ["problem.reference", { id: reference }] }),
  ].filter((child) => child instanceof Node);
  if (!words.length) return null;
  const box = details(...words);
  box.classList.toggle("not-in-english", words.length === 1 && Boolean(detail));
  return box;
}

/**
 * What only some want to read: folded.
 * @param {...import("../lib/dom.js").Child} content
 */
export const details = (...content) =>
  h("details", { class: "server-words" }, h("summary", { t: "problem.details" }), ...content);

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
