/**
 * What a person must know about a job: the orange fallback warning, the draft notice, the error.
 */
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { isActive } from "../state/jobs.js";
import { engineTitle } from "../state/library.js";
import { openEngines } from "./engines.js";
import { icon } from "./icons.js";
import { problemBox } from "./problem.js";

/** @typedef {import("../types.js").Job} Job */

/** @param {Job} job @returns {HTMLElement[]} */
export function jobNotices(job) {
  const boxes = [];
  if (job.error && job.status === "failed") {
    boxes.push(problemBox(job.error, { actions: [enginesButton()] }));
  } else if (job.status === "failed") {
    boxes.push(problemBox({ code: "internal_error", detail: job.message }));
  }
  if (job.fallback_reason) boxes.push(fallbackBox(job));
  if (job.draft || job.notice) boxes.push(draftBox(job));
  return boxes;
}

const enginesButton = () =>
  h("button", { type: "button", class: "link-button", t: "engine.open", onclick: openEngines });

/** @param {Job} job */
function fallbackBox(job) {
  const failed = job.attempts.filter((attempt) => attempt.code !== null || attempt.outcome === "failed");
  return h(
    "div",
    { class: "notice notice-fallback", role: "status", "data-notice": "fallback" },
    icon("warning"),
    h(
      "div",
      { class: "notice-body" },
      h("p", { class: "notice-title", t: ["fallback.title", { engine: engineTitle(job.selected_engine) }] }),
      h("p", {}, job.fallback_reason),
      isActive(job) && h("p", { class: "quiet", t: "fallback.goes_on" }),
      failed.length > 0 &&
        h(
          "details",
          {},
          h("summary", { t: "fallback.attempts" }),
          h("ol", {}, ...failed.map((attempt) => h("li", {}, attemptLine(attempt)))),
        ),
    ),
  );
}

/** @param {import("../types.js").Attempt} attempt */
function attemptLine(attempt) {
  const what = attempt.detail ?? attempt.code ?? attempt.outcome;
  return `${engineTitle(attempt.engine)}${t("list.colon")}${what}`;
}

/** @param {Job} job */
function draftBox(job) {
  return h(
    "div",
    { class: "notice notice-draft", role: "status", "data-notice": "draft" },
    icon("info"),
    h(
      "div",
      { class: "notice-body" },
      job.draft && h("p", { class: "notice-title", t: "draft.title" }),
      h("p", job.notice ? {} : { t: "draft.body" }, job.notice),
      h("div", { class: "notice-actions" }, enginesButton()),
    ),
  );
}
