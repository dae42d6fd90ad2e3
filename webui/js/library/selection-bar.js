/**
 * What can be done with several videos at once.
 */
import { patchJob } from "../api/library.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { go } from "../shell/router.js";
import { isFinished, jobs } from "../state/jobs.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { openExport } from "./export-dialog.js";
import { folders } from "./folders.js";
import { jobList } from "./job-list.js";
import { folderChoice } from "./shelves.js";

/** @typedef {import("../types.js").Job} Job */

export class SelectionBar {
  #grid;
  #problem = h("div", { class: "selection-problem" });
  #tools = h("div", { class: "selection-tools" });
  #count = h("p", { class: "selection-count", role: "status" });

  /** @param {import("./grid.js").Grid} grid */
  constructor(grid) {
    this.#grid = grid;
    this.element = h("div", { class: "selection-bar", role: "region", tLabel: "lib.selection", hidden: true }, this.#problem, h("div", { class: "selection-row" }, this.#count, this.#tools));
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") grid.chooseNone();
    });
  }

  render() {
    const chosen = this.#grid.chosenJobs;
    const wasHidden = this.element.hidden;
    this.element.hidden = !chosen.length;
    if (wasHidden) fill(this.#problem);
    if (!chosen.length) return;
    fill(this.#count, h("span", { t: ["lib.chosen", { n: chosen.length }] }));
    const hadFocus = document.activeElement instanceof HTMLElement && this.#tools.contains(document.activeElement) ? document.activeElement.dataset.tool : null;
    const allStarred = chosen.every((job) => job.starred);
    const pair = chosen.filter((job) => job.status === "completed");
    const canCompare = chosen.length === 2 && pair.length === 2;
    fill(
      this.#tools,
      tool("export", "download", "lib.export", () => openExport(chosen)),
      tool("star", "star", allStarred ? "lib.unstar_all" : "lib.star_all", () => void this.#each(chosen, (job) => this.#change(job, { starred: !allStarred }))),
      h("span", { class: "selection-move" }, icon("folder"), h("label", { class: "sr-only", for: "move-to", t: "lib.move" }), this.#mover(chosen)),
      canCompare && tool("compare", "compare", "lib.compare", () => go(`#/library/compare/${pair[0].job_id}/${pair[1].job_id}`)),
      tool("delete", "trash", "job.delete", () => void this.#remove(chosen)),
      tool("all", "check", "lib.choose_all", () => this.#grid.chooseAll()),
      tool("none", "close", "lib.choose_none", () => this.#grid.chooseNone()),
    );
    if (hadFocus) /** @type {HTMLElement|null} */ (this.#tools.querySelector(`[data-tool="${hadFocus}"]`))?.focus();
  }

  /** @param {Job[]} chosen */
  #mover(chosen) {
    const same = chosen.every((job) => (job.folder_id ?? null) === (chosen[0].folder_id ?? null));
    const move = (/** @type {string|null} */ id) => void this.#each(chosen, (job) => this.#change(job, { folder_id: id })).then(() => folders.load());
    const select = folderChoice({ id: "move-to", current: same ? (chosen[0].folder_id ?? null) : null, move });
    select.dataset.tool = "move";
    select.prepend(h("option", { value: "…", disabled: true, t: "lib.move" }));
    if (!same || !chosen[0].folder_id) select.value = "…";
    return select;
  }

  /** @param {Job} job @param {import("../types-library.js").JobPatchBody} changes */
  async #change(job, changes) {
    jobList.put(await patchJob(job.job_id, changes));
  }

  /** @param {Job[]} chosen */
  async #remove(chosen) {
    const ended = chosen.filter(isFinished);
    if (!ended.length) {
      fill(this.#problem, h("p", { class: "inline-warning", role: "status" }, icon("warning"), h("span", { t: "lib.delete_running" })));
      return;
    }
    const sure = await confirmLoss({
      title: "lib.delete_title",
      body: [ended.length < chosen.length ? "lib.delete_some_body" : "lib.delete_body", { n: ended.length, all: chosen.length }],
      action: "confirm.delete",
    });
    if (!sure) return;
    const done = await this.#each(ended, (job) => jobs.delete(job.job_id));
    if (done) announce(t("lib.deleted", { n: done }));
    await folders.load().catch(() => undefined);
  }

  /** One after the other; what fails is named once, the others go on. @param {Job[]} chosen @param {(job: Job) => Promise<unknown>} work */
  async #each(chosen, work) {
    fill(this.#problem);
    let done = 0;
    /** @type {unknown} */
    let failure = null;
    for (const job of chosen) {
      try {
        await work(job);
        done += 1;
      } catch (error) {
        failure = error;
      }
    }
    if (failure) fill(this.#problem, problemBox(asProblem(failure)));
    await jobList.refresh();
    return done;
  }
}

/** @param {string} name @param {Parameters<typeof icon>[0]} mark @param {string} key @param {() => void} work */
const tool = (name, mark, key, work) => h("button", { type: "button", class: "button button-small", "data-tool": name, t: key, onclick: work }, icon(mark));
