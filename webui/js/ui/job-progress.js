/**
 * How far a job is: a bar, the stages, what is being done and the time left.
 */
import { h, fill } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { duration, percent } from "../lib/format.js";
import { isActive, STAGES } from "../state/jobs.js";
import { icon } from "./icons.js";
import { details } from "./problem.js";
import { activityOf, countOf } from "./wording.js";

/** @typedef {import("../types.js").Job} Job */

export class JobProgress {
  #fill = h("span", { class: "bar-fill" });
  #bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, tLabel: "progress.label" },
    this.#fill,
  );
  #percent = h("strong", { class: "progress-percent" });
  #message = h("span", { class: "progress-message" });
  #count = h("p", { class: "quiet progress-count" });
  #eta = h("span", { class: "quiet progress-eta" });
  #stages = h("ol", { class: "stages", tLabel: "progress.stages" });
  /** The service's own words, in English. */
  #said = h("p", { lang: "en" });
  #details = details(this.#said);
  #built = "";

  constructor() {
    this.element = h(
      "div",
      { class: "progress" },
      h("div", { class: "progress-line" }, this.#percent, this.#message, this.#eta),
      this.#bar,
      this.#stages,
      this.#count,
      this.#details,
    );
  }

  /** @param {Job} job */
  update(job) {
    const active = isActive(job);
    this.element.hidden = !active;
    if (!active) return;
    this.#percent.textContent = percent(job.progress);
    const count = countOf(job);
    bindText(this.#message, activityOf(job));
    this.#count.textContent = count;
    this.#said.textContent = job.message;
    this.#details.hidden = !job.message;
    this.#eta.textContent = this.#note(job);
    this.#fill.style.transform = `scaleX(${job.progress / 100})`;
    this.#bar.dataset.status = job.status;
    this.#bar.setAttribute("aria-valuenow", String(job.progress));
    const stage = job.stage ? t(`stage.${job.stage}`) : t(`status.${job.status}`);
    this.#bar.setAttribute("aria-valuetext", [t("progress.value", { stage, percent: percent(job.progress) }), count].filter(Boolean).join(" · "));
    const from = JSON.stringify([job.stages, document.documentElement.lang]);
    if (from === this.#built) return;
    this.#built = from;
    fill(this.#stages, ...STAGES.map((name) => stageItem(name, job)));
  }

  /** @param {Job} job */
  #note(job) {
    if (job.status === "queued" && job.queue_position) return t("progress.position", { n: job.queue_position });
    if (job.eta_seconds !== null && job.eta_seconds > 0) return t("progress.eta", { time: duration(job.eta_seconds) });
    return "";
  }
}

/** @param {import("../types.js").StageName} name @param {Job} job */
function stageItem(name, job) {
  const state = job.stages.find((item) => item.name === name)?.status ?? "pending";
  const item = h("li", { class: "stage-item", "data-state": state }, h("span", { class: "stage-dot" }, state === "completed" && icon("check")));
  const label = h("span", {});
  bindText(label, `stage.${name}`);
  item.append(label, h("span", { class: "sr-only", t: `stage_state.${state}` }));
  if (state === "running") item.setAttribute("aria-current", "step");
  return item;
}
