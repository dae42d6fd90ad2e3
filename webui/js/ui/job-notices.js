/**
 * What a person must know about a job: the orange fallback warning, the draft notice, the error.
 */
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { isActive } from "../state/jobs.js";
import { engineTitle } from "../state/library.js";
import { enginesLink } from "./engines.js";
import { icon } from "./icons.js";
import { details, problemBox } from "./problem.js";
import { causeOf, hasFailed, lastFailure } from "./wording.js";

/** @typedef {import("../types.js").Job} Job */

/** Notices whose code says everything; the others bring details that only the service has words for. */
const SAID_CODES = ["voice_match", "voice_clone", "voice_stand_in", "speaker_silent"];

/** @param {Job} job @returns {HTMLElement[]} */
export function jobNotices(job) {
  const boxes = [];
  if (job.status === "failed") {
    const error = job.error ?? { code: "internal_error", detail: job.message };
    const engine = lastFailure(job)?.engine ?? null;
    boxes.push(problemBox({ ...error, engine, reference: job.job_id }, { actions: [enginesLink()] }));
  }
  if (job.fallback_reason) boxes.push(fallbackBox(job));
  const changed = job.attempts.find((attempt) => attempt.change && attempt.stage === "video" && !hasFailed(attempt));
  if (changed && !isActive(job)) boxes.push(changedBox(changed));
  if (job.draft || job.notice) boxes.push(draftBox(job));
  if (job.speech_report?.doubtful.length) boxes.push(heardBox(job.speech_report));
  return boxes;
}

/** @param {Job} job */
function fallbackBox(job) {
  const failed = job.attempts.filter(hasFailed);
  // The hop that led to the engine that works now, or worked last.
  const left = failed.filter((attempt) => attempt.engine !== job.selected_engine).at(-1);
  return h(
    "div",
    { class: "notice notice-fallback", role: "status", "data-notice": "fallback" },
    icon("warning"),
    h(
      "div",
      { class: "notice-body" },
      // Where the next engine failed too, nothing took over.
      job.status === "failed"
        ? h("p", { class: "notice-title", t: "fallback.all_failed" })
        : h("p", { class: "notice-title", t: ["fallback.title", { engine: engineTitle(job.selected_engine) }] }),
      left && h("p", {}, failureLine(left)),
      isActive(job) && h("p", { class: "quiet", t: "fallback.goes_on" }),
      details(
        failed.length > 1 && h("ol", { tLabel: "fallback.attempts" }, ...failed.map((attempt) => h("li", {}, failureLine(attempt), changeOf(attempt)))),
        h("p", { lang: "en" }, job.fallback_reason),
      ),
    ),
  );
}

/** Engine and cause; most causes name the engine themselves. @param {import("../types.js").Attempt} attempt */
function failureLine(attempt) {
  const [key, params] = causeOf(attempt.code ?? "unknown", attempt.engine);
  const cause = t(key, params);
  const title = engineTitle(attempt.engine);
  return cause.includes(title) ? cause : title + t("list.colon") + cause;
}

/** What this try did otherwise, in the service's words. @param {import("../types.js").Attempt} attempt */
const changeOf = (attempt) =>
  attempt.change && h("p", { class: "quiet" }, t("attempt.change", { change: "" }), h("span", { lang: "en" }, attempt.change));

/** The video is not quite what was asked for. @param {import("../types.js").Attempt} attempt */
function changedBox(attempt) {
  return h(
    "div",
    { class: "notice notice-draft", role: "status", "data-notice": "changed" },
    icon("info"),
    h("div", { class: "notice-body" }, h("p", { t: "attempt.made_with" }), h("p", { lang: "en" }, attempt.change)),
  );
}

/** @param {Job} job */
function draftBox(job) {
  const codes = job.notice_codes ?? [];
  const said = [
    job.draft && h("p", { class: "notice-title", t: "draft.title" }),
    job.draft && h("p", { t: "notice.draft" }),
    ...SAID_CODES.filter((code) => codes.includes(code)).map((code) => h("p", { t: `notice.${code}` })),
    codes.includes("warning") && h("p", { class: "not-in-english", t: "notice.warning" }),
  ];
  // Where the codes do not say it all, the service's own sentence does.
  const hasMore = job.notice && (!codes.length || codes.some((code) => !["draft", ...SAID_CODES].includes(code)));
  return h(
    "div",
    { class: "notice notice-draft", role: "status", "data-notice": "draft" },
    icon("info"),
    h(
      "div",
      { class: "notice-body" },
      ...said,
      hasMore && h("p", { class: codes.length ? "in-english" : "", lang: "en" }, job.notice),
      hasMore && codes.length > 0 && notInEnglish(details(h("p", { lang: "en" }, job.notice))),
      job.draft && h("div", { class: "notice-actions" }, enginesLink()),
    ),
  );
}

/** Sentences that a recogniser heard otherwise. @param {NonNullable<Job["speech_report"]>} report */
function heardBox(report) {
  return h(
    "div",
    { class: "notice notice-draft", role: "status", "data-notice": "heard" },
    icon("audio"),
    h(
      "div",
      { class: "notice-body" },
      h("p", { class: "notice-title", t: ["heard.title", { n: report.doubtful.length }] }),
      h("ul", {}, ...report.doubtful.map((item) => h("li", {}, h("p", {}, item.text), h("p", { class: "quiet", t: ["heard.as", { heard: item.heard }] })))),
    ),
  );
}

/** @template {Element} E @param {E} element */
function notInEnglish(element) {
  element.classList.add("not-in-english");
  return element;
}
