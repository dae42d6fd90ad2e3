/**
 * Making a draft final: fast or best, on an engine of the graphics card. Says beforehand when none is ready.
 */
import { promoteJob } from "../api/endpoints.js";
import { fill, freshId, h } from "../lib/dom.js";
import { go } from "../shell/router.js";
import { engineTitle } from "../state/library.js";
import { jobs } from "../state/jobs.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { finalEngines } from "../ui/promote.js";

/** @typedef {import("../types.js").Job} Job */

/** @type {["fast"|"best", string, string][]} */
const QUALITIES = [
  ["fast", "lib.promote_fast", "lib.promote_fast_note"],
  ["best", "lib.promote_best", "lib.promote_best_note"],
];

/** @param {Job} job */
export function openPromote(job) {
  const ready = finalEngines();
  let quality = /** @type {"fast"|"best"} */ ("best");
  let busy = false;
  const problem = h("div", {});
  const engine = h("select", { id: "promote-engine", class: "input" }, h("option", { value: "", t: "engine.auto" }), ...ready.map((item) => h("option", { value: item.name }, engineTitle(item.name))));
  const submit = h("button", { type: "submit", class: "button button-primary", "aria-disabled": String(!ready.length), "aria-describedby": !ready.length && "promote-why", t: "lib.promote_do" });

  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy || !ready.length) return;
    busy = true;
    submit.setAttribute("aria-disabled", "true");
    fill(problem);
    try {
      const { job_id } = await promoteJob(job.job_id, { quality, ...(engine.value && { engine: engine.value }) });
      await jobs.fetch(job_id);
      dialog.close();
      go(`#/jobs/${job_id}`);
    } catch (error) {
      fill(problem, problemBox(asProblem(error)));
      submit.setAttribute("aria-disabled", "false");
    }
    busy = false;
  };

  const name = freshId("promote");
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "promote-title" },
    h(
      "form",
      { onsubmit: (/** @type {Event} */ event) => void send(event) },
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: "promote-title", t: "lib.promote" }),
        h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => dialog.close() }, icon("close")),
      ),
      h("p", { class: "quiet", t: "lib.promote_intro" }),
      h(
        "div",
        { class: "choice-cards", role: "radiogroup", tLabel: "lib.promote_quality" },
        ...QUALITIES.map(([value, key, note]) =>
          h(
            "label",
            { class: "choice-card" },
            h("input", { type: "radio", name, value, checked: value === quality, onchange: () => (quality = value) }),
            h("span", {}, h("strong", { t: key }), h("span", { class: "quiet", t: note })),
          ),
        ),
      ),
      ready.length > 1 && h("div", { class: "field" }, h("label", { class: "field-label", for: "promote-engine", t: "options.engine" }), engine),
      !ready.length &&
        h(
          "div",
          { class: "notice notice-draft" },
          icon("info"),
          h("div", { class: "notice-body" }, h("p", { id: "promote-why", t: "lib.promote_no_engine" }), h("p", {}, h("a", { href: "#/system/engines", t: "engine.open", onclick: () => dialog.close() }))),
        ),
      problem,
      h("div", { class: "dialog-actions" }, submit),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
