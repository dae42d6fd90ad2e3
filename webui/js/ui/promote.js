/**
 * A draft that pleased, made final by one click: an engine on a graphics card takes its script, voice and portrait.
 */
import { promoteJob } from "../api/endpoints.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { jobs } from "../state/jobs.js";
import { library } from "../state/library.js";
import { openJob } from "../state/route.js";
import { announce } from "./announce.js";
import { enginesLink } from "./engines.js";
import { asProblem, problemBox } from "./problem.js";

/** @typedef {import("../types.js").Job} Job */

/** Whether there is anything to make final. @param {Job} job */
export const isPromotable = (job) => job.status === "completed" && job.draft;

/** Engines that could do it now. */
export const finalEngines = () => library.engines.filter((engine) => engine.ready && engine.name !== "draft");

/** @param {Job} job @returns {Node[]} */
export function promotion(job) {
  const isPossible = finalEngines().length > 0;
  const problem = h("div", {});
  let isBusy = false;
  /** @param {"fast"|"best"} quality */
  const button = (quality) =>
    h("button", {
      type: "button",
      class: `button ${quality === "best" && isPossible ? "button-tonal" : ""}`,
      "aria-disabled": String(!isPossible),
      "aria-describedby": "promote-why",
      t: `studio.promote_${quality}`,
      onclick: async () => {
        if (!isPossible || isBusy) return;
        isBusy = true;
        fill(problem);
        try {
          const { job_id } = await promoteJob(job.job_id, { quality });
          await jobs.fetch(job_id);
          openJob(job_id);
          announce(t("generate.queued"));
        } catch (error) {
          fill(problem, problemBox(asProblem(error)));
        } finally {
          isBusy = false;
        }
      },
    });
  const more = enginesLink();
  return [
    h("p", { class: "quiet", id: "promote-why" }, h("span", { t: isPossible ? "studio.promote_why" : "studio.promote_not" }), !isPossible && " ", !isPossible && more),
    h("div", { class: "promote-buttons" }, button("best"), button("fast")),
    problem,
  ];
}
