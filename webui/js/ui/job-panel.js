/**
 * One job on the stage: picture or player, progress, notices, files, actions.
 */
import { h, fill } from "../lib/dom.js";
import { reuseSettings } from "../library/reuse.js";
import { isActive, isFinished, jobs } from "../state/jobs.js";
import { library } from "../state/library.js";
import { openJob } from "../state/route.js";
import { confirmLoss } from "./confirm.js";
import { icon } from "./icons.js";
import { jobNotices } from "./job-notices.js";
import { JobProgress } from "./job-progress.js";
import { downloads, player } from "./job-result.js";
import { LiveFrame } from "./live-frame.js";
import { asProblem, problemBox } from "./problem.js";
import { finalEngines, isPromotable, promotion } from "./promote.js";
import { shapeFrame } from "./stage-preview.js";
import { firstLine } from "../lib/text.js";

/** @typedef {import("../types.js").Job} Job */

/** @type {Record<string, [string, Parameters<typeof icon>[0]|null]>} */
const BADGES = {
  queued: ["badge-idle", null],
  processing: ["badge-run", null],
  fallback: ["badge-fallback", "warning"],
  completed: ["badge-ok", "check"],
  failed: ["badge-error", "error"],
  cancelling: ["badge-idle", null],
  cancelled: ["badge-idle", null],
};

/** Status as a word and a mark, never colour alone. @param {Job} job */
export function statusBadge(job) {
  const [look, mark] = BADGES[job.status] ?? ["badge-idle", null];
  return h("span", { class: `badge ${look}`, "data-status": job.status, t: `status.${job.status}` }, mark && icon(mark));
}

/** Errors that another engine may not have. */
const ENGINE_CODES = new Set([
  "engine_not_installed", "engine_unavailable", "import_failed", "protocol_mismatch", "model_missing",
  "model_download", "gpu_oom", "gpu_fault", "gpu_unsupported",
]);

export class JobPanel {
  shown = false;
  #frame = h("div", { class: "frame" });
  #live = new LiveFrame();
  #progress = new JobProgress();
  #notices = h("div", { class: "notices" });
  #files = h("div", {});
  #promote = h("div", { class: "promote" });
  #actions = h("div", { class: "actions" });
  #problem = h("div", {});
  /** What each part was last built from: parts are rebuilt only when it changes. @type {Record<string, string>} */
  #built = {};

  /** @param {string} id */
  constructor(id) {
    this.id = id;
    this.element = h(
      "div",
      { class: "job-panel", "data-job": id },
      h("div", { class: "frame-place" }, this.#frame, this.#live.element),
      this.#progress.element,
      this.#files,
      this.#promote,
      this.#notices,
      this.#problem,
      this.#actions,
    );
  }

  /** @param {Job} job */
  update(job) {
    this.shown = true;
    this.element.dataset.ended = String(isFinished(job) && job.status !== "completed");
    // Words change with the language, and with the engines' titles once they are known.
    const words = [document.documentElement.lang, library.engines.map((engine) => engine.title)];
    const done = job.status === "completed" && Boolean(job.artifacts.video);
    const avatar = library.avatar(job.avatar_url);
    this.#part("frame", [done, job.artifacts.video, avatar?.thumbnail_url], () => {
      shapeFrame(this.#frame, job.output.aspect, avatar);
      if (done) fill(this.#frame, player(job));
      else if (avatar) fill(this.#frame, h("img", { class: "frame-picture", src: avatar.thumbnail_url, alt: "" }));
      else fill(this.#frame, h("div", { class: "frame-empty" }, icon("person")));
    });
    this.#frame.classList.toggle("is-waiting", isActive(job));
    this.#live.update(job);
    this.#progress.update(job);
    this.#part("notices", [job.fallback_reason, job.draft, job.notice, job.error, job.attempts, job.status, words], () =>
      fill(this.#notices, ...jobNotices(job)),
    );
    this.#part("files", [done, job.artifacts], () => fill(this.#files, done && downloads(job)));
    this.#part("promote", [isPromotable(job), finalEngines().length, words], () =>
      fill(this.#promote, ...(isPromotable(job) ? promotion(job) : [])),
    );
    this.#part("actions", [job.status, job.error?.code], () => fill(this.#actions, ...this.#buttons(job)));
  }

  /** @param {string} name @param {unknown[]} from @param {() => void} build */
  #part(name, from, build) {
    const key = JSON.stringify(from);
    if (this.#built[name] === key) return;
    this.#built[name] = key;
    build();
  }

  /** @param {Job} job @returns {HTMLElement[]} */
  #buttons(job) {
    const buttons = [];
    if (isActive(job)) {
      const asked = job.status === "cancelling";
      const button = h("button", { type: "button", class: "button", t: asked ? "job.cancelling" : "job.cancel" }, icon("close"));
      button.setAttribute("aria-disabled", String(asked));
      if (!asked) button.addEventListener("click", () => void this.#try(button, () => jobs.cancel(job.job_id)));
      return [button];
    }
    if (job.error && ENGINE_CODES.has(job.error.code) && job.requested_engine !== "auto") {
      // The same engine would most likely fail again.
      const other = this.#retryButton(job, "job.retry_auto", "auto");
      other.classList.add("button-tonal");
      buttons.push(other);
    }
    if (job.status !== "completed") buttons.push(this.#retryButton(job, "job.retry", undefined));
    if (isFinished(job)) {
      const reuse = h("button", { type: "button", class: "button", t: "job.reuse" }, icon("reuse"));
      reuse.addEventListener("click", () => void this.#try(reuse, () => this.#reuse(job)));
      buttons.push(
        reuse,
        h("button", { type: "button", class: "button button-quiet", t: "job.delete", onclick: () => void this.#delete(job) }, icon("trash")),
      );
    }
    return buttons;
  }

  /** @param {Job} job @param {string} key @param {string|undefined} engine */
  #retryButton(job, key, engine) {
    const button = h("button", { type: "button", class: "button", t: key }, icon("retry"));
    button.addEventListener("click", () =>
      void this.#try(button, async () => {
        const next = await jobs.retry(job.job_id, engine ? { engine } : {});
        openJob(next.job_id);
      }),
    );
    return button;
  }

  /** @param {Job} job */
  async #reuse(job) {
    if (await reuseSettings(job)) document.getElementById("script")?.focus();
  }

  /** @param {Job} job */
  async #delete(job) {
    const sure = await confirmLoss({
      title: "job.delete_title",
      body: ["job.delete_body", { name: job.title || firstLine(job.script_input) }],
      action: "confirm.delete",
    });
    if (sure) await this.#try(null, () => jobs.delete(job.job_id));
  }

  /**
   * Do it once, and show what went wrong.
   * @param {HTMLButtonElement|null} button
   * @param {() => Promise<void>} work
   */
  async #try(button, work) {
    if (button?.getAttribute("aria-disabled") === "true") return;
    button?.setAttribute("aria-disabled", "true");
    fill(this.#problem);
    try {
      await work();
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      button?.setAttribute("aria-disabled", "false");
    }
  }
}
