/**
 * The queue, at hand on every screen: what runs, what waits in which order, and what has just ended.
 */
import { patchJob, getQueue, pauseQueue, resumeQueue } from "../api/endpoints.js";
import { byId, fill, h } from "../lib/dom.js";
import { bindAttribute } from "../lib/i18n.js";
import { isActive, isFinished, jobs } from "../state/jobs.js";
import { library } from "../state/library.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { onQueue, showQueue } from "../ui/queue-strip.js";
import { notifySwitch } from "./notify.js";
import { moved, waiting } from "./queue-order.js";
import { QueueRow } from "./queue-row.js";

/** The last ones that ended; the others are in the library. */
const ENDED_SHOWN = 4;

class QueueDrawer {
  /** @type {Map<string, QueueRow>} */
  #rows = new Map();
  #running = h("ul", { class: "queue" });
  #waiting = h("ul", { class: "queue" });
  #ended = h("ul", { class: "queue" });
  #titles = ["queue.running", "queue.waiting", "queue.ended"].map((key) => h("h3", { class: "queue-group", t: key }));
  #empty = h("p", { class: "empty", t: "queue.empty" });
  #pause = h("button", { type: "button", class: "button button-small" });
  #problem = h("div", {});
  #paused = false;
  element = h("dialog", { id: "queue-drawer", class: "dialog drawer", "aria-labelledby": "queue-title" });

  constructor() {
    const close = h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => this.element.close() }, icon("close"));
    const [running, waits, ended] = this.#titles;
    this.element.append(
      h(
        "div",
        { class: "dialog-content" },
        h("div", { class: "dialog-head" }, h("h2", { id: "queue-title", t: "queue.title" }), close),
        h("div", { class: "queue-tools" }, this.#pause, notifySwitch()),
        this.#problem,
        h("div", { class: "queue" }, this.#empty, running, this.#running, waits, this.#waiting, ended, this.#ended),
      ),
    );
    // A click beside the drawer reaches the dialog itself, never its content.
    this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    this.#pause.addEventListener("click", () => void this.#turn());
    onQueue((queue) => this.#showPaused(queue.paused));
    this.#showPaused(false);
    document.body.append(this.element);
  }

  open() {
    this.update();
    this.element.showModal();
  }

  /** @param {boolean} paused */
  #showPaused(paused) {
    this.#paused = paused;
    fill(this.#pause, icon(paused ? "play" : "pause"), h("span", { t: paused ? "queue.resume" : "queue.pause" }));
  }

  async #turn() {
    fill(this.#problem);
    try {
      showQueue(await (this.#paused ? resumeQueue() : pauseQueue()));
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  /** @param {string} id @param {-1|1} by */
  async #move(id, by) {
    for (const { id: changed, priority } of moved(waiting(jobs.list()), id, by)) jobs.putAll([await patchJob(changed, { priority })]);
    showQueue(await getQueue());
    await jobs.refresh();
  }

  update() {
    const all = jobs.list();
    const lists = [
      all.filter((job) => isActive(job) && job.status !== "queued"),
      waiting(all),
      all.filter(isFinished).sort((a, b) => (b.completed_at ?? "").localeCompare(a.completed_at ?? "")).slice(0, ENDED_SHOWN),
    ];
    const shown = new Set(lists.flat().map((job) => job.job_id));
    for (const [id, row] of this.#rows) {
      if (shown.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    [this.#running, this.#waiting, this.#ended].forEach((place, n) => {
      this.#titles[n].hidden = place.hidden = lists[n].length === 0;
      lists[n].forEach((job, at) => {
        const row = this.#row(job.job_id);
        row.update(job, { first: at === 0, last: at === lists[n].length - 1 });
        if (place.children[at] !== row.element) place.insertBefore(row.element, place.children[at] ?? null);
      });
    });
    this.#empty.hidden = shown.size > 0;
  }

  /** @param {string} id */
  #row(id) {
    const row = this.#rows.get(id) ?? new QueueRow(id, () => this.element.close(), (job, by) => this.#move(job, by));
    this.#rows.set(id, row);
    return row;
  }
}

/** The button of the rail, with how many are under way, and the drawer that it opens. */
export function startQueueDrawer() {
  const drawer = new QueueDrawer();
  const button = byId("queue-button");
  const count = h("span", { class: "tool-count", "aria-hidden": "true", hidden: true });
  byId("queue-mark").append(icon("queue"), count);
  button.addEventListener("click", () => drawer.open());
  const update = () => {
    const active = jobs.list().filter(isActive).length;
    count.hidden = active === 0;
    count.textContent = String(active);
    bindAttribute(button, "aria-label", "queue.open", { n: active });
    if (drawer.element.open) drawer.update();
  };
  jobs.addEventListener("change", update);
  library.addEventListener("engines", update);
  document.addEventListener("localechange", update);
  update();
}
