/**
 * One job in the queue's drawer: how far, what is being done, what changed, and what can be done about it.
 */
import { h, fill } from "../lib/dom.js";
import { duration, percent } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { firstLine } from "../lib/text.js";
import { isActive, jobs } from "../state/jobs.js";
import { engineTitle, library } from "../state/library.js";
import { openJob } from "../state/route.js";
import { icon } from "../ui/icons.js";
import { statusBadge } from "../ui/job-panel.js";
import { LiveFrame } from "../ui/live-frame.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { activityOf, causeOf, countOf, hasFailed } from "../ui/wording.js";

/** @typedef {import("../types.js").Job} Job */

export class QueueRow {
  #link = h("a", {});
  #badge = h("span", {});
  #fill = h("span", { class: "bar-fill" });
  #bar = h("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, tLabel: "progress.label" }, this.#fill);
  #what = h("span", {});
  #when = h("span", { class: "quiet" });
  #picture = h("img", { class: "queue-picture", alt: "", width: 52, height: 52 });
  #live = new LiveFrame();
  #note = h("div", {});
  #actions = h("div", { class: "queue-actions" });
  #problem = h("div", {});
  #built = "";

  /**
   * @param {string} id
   * @param {() => void} leave  closes the drawer
   * @param {(id: string, by: -1|1) => Promise<void>} move
   */
  constructor(id, leave, move) {
    this.id = id;
    this.move = move;
    this.#link.href = `#/jobs/${id}`;
    this.#link.addEventListener("click", (event) => {
      event.preventDefault();
      leave();
      openJob(id);
    });
    this.element = h(
      "li",
      { class: "queue-row", "data-job": id },
      h("div", { class: "queue-head" }, h("span", { class: "queue-frame" }, this.#picture, this.#live.element), this.#link, this.#badge),
      this.#bar,
      h("div", { class: "queue-now" }, this.#what, this.#when),
      this.#note,
      this.#problem,
      this.#actions,
    );
  }

  /** @param {Job} job @param {{first: boolean, last: boolean}} place  among those that wait */
  update(job, place) {
    const active = isActive(job);
    this.element.dataset.status = job.status;
    this.#link.textContent = job.title || firstLine(job.script_input);
    this.#bar.hidden = !active;
    this.#fill.style.transform = `scaleX(${job.progress / 100})`;
    this.#bar.dataset.status = job.status;
    this.#bar.setAttribute("aria-valuenow", String(job.progress));
    const said = active ? [t(activityOf(job)), countOf(job)].filter(Boolean).join(" · ") : "";
    this.#bar.setAttribute("aria-valuetext", `${said} · ${percent(job.progress)}`);
    this.#what.textContent = active ? said : engineTitle(job.selected_engine);
    this.#when.textContent = this.#time(job);
    const picture = job.artifacts.thumbnail ?? library.avatar(job.avatar_url)?.thumbnail_url ?? "";
    this.#picture.hidden = !picture;
    if (picture && this.#picture.getAttribute("src") !== picture) this.#picture.src = picture;
    this.#live.update(job);
    const built = JSON.stringify([job.status, job.fallback_reason, job.attempts.length, job.error?.code, place, document.documentElement.lang]);
    if (built === this.#built) return;
    this.#built = built;
    const focused = this.#actions.contains(document.activeElement) ? document.activeElement?.getAttribute("data-act") : null;
    fill(this.#badge, statusBadge(job));
    fill(this.#note, fallbackChip(job), job.status === "failed" && job.error && h("p", { class: "quiet", t: causeOf(job.error.code, job.selected_engine) }));
    fill(this.#actions, ...this.#buttons(job, place));
    if (focused) /** @type {HTMLElement|null} */ (this.#actions.querySelector(`[data-act="${focused}"]`))?.focus();
  }

  /** @param {Job} job */
  #time(job) {
    if (job.status === "queued") return job.queue_position ? t("progress.position", { n: job.queue_position }) : "";
    if (!isActive(job)) return "";
    const left = job.eta_seconds ? t("progress.eta", { time: duration(job.eta_seconds) }) : "";
    return [percent(job.progress), left].filter(Boolean).join(" · ");
  }

  /** @param {Job} job @param {{first: boolean, last: boolean}} place */
  #buttons(job, place) {
    if (job.status === "queued") {
      return [
        this.#button("up", ["queue.up", "up"], place.first, () => this.move(job.job_id, -1)),
        this.#button("down", ["queue.down", "down"], place.last, () => this.move(job.job_id, 1)),
        this.#button("cancel", ["job.cancel", null], false, () => jobs.cancel(job.job_id)),
      ];
    }
    if (isActive(job)) {
      const asked = job.status === "cancelling";
      return [this.#button("cancel", [asked ? "job.cancelling" : "job.cancel", null], asked, () => jobs.cancel(job.job_id))];
    }
    return job.status === "completed" ? [] : [this.#button("retry", ["job.retry", null], false, async () => void (await jobs.retry(job.job_id)))];
  }

  /** @param {string} act @param {[string, string|null]} look  key, icon for a button without words @param {boolean} off @param {() => Promise<void>} work */
  #button(act, [key, mark], off, work) {
    const button = mark
      ? h("button", { type: "button", class: "icon-button", tLabel: key, tTitle: key }, icon(mark))
      : h("button", { type: "button", class: "button button-small", t: key });
    button.dataset.act = act;
    button.setAttribute("aria-disabled", String(off));
    button.addEventListener("click", async () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      button.setAttribute("aria-disabled", "true");
      fill(this.#problem);
      try {
        await work();
      } catch (error) {
        fill(this.#problem, problemBox(asProblem(error)));
      } finally {
        button.setAttribute("aria-disabled", String(off));
      }
    });
    return button;
  }
}

/** Orange: another engine took over; behind it why, and what is different now. @param {Job} job */
function fallbackChip(job) {
  if (!job.fallback_reason) return null;
  // The hop that led to the engine that works now, or worked last.
  const left = job.attempts.filter((attempt) => hasFailed(attempt) && attempt.engine !== job.selected_engine).at(-1);
  const change = job.attempts.findLast((attempt) => attempt.change)?.change;
  return h(
    "details",
    { class: "queue-fallback" },
    h("summary", { t: job.status === "failed" ? "fallback.all_failed" : ["queue.fallback", { engine: engineTitle(job.selected_engine) }] }, icon("warning")),
    left && h("p", { t: causeOf(left.code ?? "unknown", left.engine) }),
    h("p", { class: "quiet", lang: "en" }, job.fallback_reason),
    change && h("p", {}, h("span", { t: "attempt.made_with" }), " ", h("span", { lang: "en" }, change)),
  );
}
