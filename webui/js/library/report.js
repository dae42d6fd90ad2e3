/**
 * The quality report of a finished video: what was measured, in words, and whether it is as it should be.
 */
import { getJobReport } from "../api/library.js";
import { fill, h } from "../lib/dom.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { figuresOf, findingsOf } from "./report-words.js";

/** @typedef {import("../types.js").Job} Job */

/** Filled when the report has come; videos from before reports were made have none. @param {Job} job */
export function qualityReport(job) {
  if (!job.artifacts.report) return h("p", { class: "quiet", t: "lib.report_none" });
  const box = h("div", { class: "quality" }, h("p", { class: "quiet", t: "stage.loading" }));
  getJobReport(job.job_id).then(
    (report) => fill(box, ...reportParts(report)),
    (error) => fill(box, problemBox(asProblem(error))),
  );
  return box;
}

/** @param {import("../types-library.js").QualityReport} report */
function reportParts(report) {
  const findings = findingsOf(report);
  return [
    findings.length > 0
      ? h("ul", { class: "findings" }, ...findings.map((found) => h("li", { class: "finding finding-warning" }, icon("warning"), h("p", { t: found }))))
      : h("p", { class: "finding-ok", t: "lib.report_good" }, icon("check")),
    h("dl", { class: "fact-list" }, ...figuresOf(report).map(([key, value]) => h("div", {}, h("dt", { t: key }), h("dd", {}, value)))),
    h("details", {}, h("summary", { t: "lib.report_digest" }), h("code", { class: "digest" }, report.sha256)),
  ];
}
