/**
 * One video: to be watched, taken home, judged, and made again.
 */
import { getJob } from "../api/endpoints.js";
import { patchJob } from "../api/library.js";
import { fill, h } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { go } from "../shell/router.js";
import { isActive, isFinished, jobs } from "../state/jobs.js";
import { library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { jobNotices } from "../ui/job-notices.js";
import { statusBadge } from "../ui/job-panel.js";
import { JobProgress } from "../ui/job-progress.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { finalEngines, isPromotable } from "../ui/promote.js";
import { shapeFrame } from "../ui/stage-preview.js";
import { askName } from "./ask-name.js";
import { attemptList } from "./attempts.js";
import { titleOf } from "./card.js";
import { factList, moment, provenanceRows, settingRows } from "./facts.js";
import { fileList } from "./files.js";
import { folders } from "./folders.js";
import { jobList } from "./job-list.js";
import { pickJob } from "./pick-job.js";
import { subtitledPlayer } from "./player.js";
import { openPromote } from "./promote.js";
import { qualityReport } from "./report.js";
import { reuseSettings } from "./reuse.js";
import { folderChoice } from "./shelves.js";

/** @typedef {import("../types.js").Job} Job */

const MOST_TITLE_CHARS = 200;

export class Detail {
  #id;
  /** @type {Job|null} */
  #job = null;
  #title = h("h2", { class: "screen-title", tabindex: "-1" });
  #meta = h("div", { class: "detail-meta" });
  #tools = h("div", { class: "screen-actions" });
  #problem = h("div", {});
  #frame = h("div", { class: "frame" });
  #subtitles = h("div", { class: "detail-subtitles" });
  #progress = new JobProgress();
  #actions = h("div", { class: "detail-actions" });
  #notices = h("div", { class: "notices" });
  #quality = section("quality", "lib.quality");
  #made = section("made", "lib.made");
  #origin = section("origin", "lib.origin");
  #tried = section("tried", "lib.tried");
  #files = section("files", "lib.files");
  #script = section("script-text", "script.label");
  #body = h(
    "div",
    { class: "detail-columns", hidden: true },
    h("div", { class: "detail-column" }, h("div", { class: "card detail-player" }, this.#frame, this.#progress.element, this.#subtitles, this.#actions), this.#notices, this.#script.element, this.#made.element, this.#tried.element),
    h("div", { class: "detail-column" }, this.#quality.element, this.#files.element, this.#origin.element),
  );
  /** What each part was last built from. @type {Record<string, string>} */
  #built = {};
  #onChange = () => this.#follow();
  #onLocale = () => this.#job && this.#show(this.#job);

  /** @param {string} id */
  constructor(id) {
    this.#id = id;
    this.element = h(
      "div",
      { class: "detail" },
      h("a", { class: "back-link", href: "#/library", t: "lib.back" }, icon("back")),
      h("header", { class: "screen-head" }, h("div", { class: "screen-heading" }, this.#title, this.#meta), this.#tools),
      this.#problem,
      this.#body,
    );
    bindText(this.#title, "stage.loading");
    jobs.addEventListener("change", this.#onChange);
    for (const name of ["engines", "voices", "avatars"]) library.addEventListener(name, this.#onLocale);
    folders.addEventListener("change", this.#onLocale);
    document.addEventListener("localechange", this.#onLocale);
    if (!folders.list.length) folders.load().catch(() => undefined);
    const known = jobs.get(id) ?? jobList.get(id);
    if (known) this.#show(known);
    void this.#load();
  }

  close() {
    jobs.removeEventListener("change", this.#onChange);
    for (const name of ["engines", "voices", "avatars"]) library.removeEventListener(name, this.#onLocale);
    folders.removeEventListener("change", this.#onLocale);
    document.removeEventListener("localechange", this.#onLocale);
    this.#frame.querySelector("video")?.pause();
  }

  async #load() {
    try {
      this.#show(await getJob(this.#id));
    } catch (error) {
      this.#body.hidden = true;
      fill(this.#tools);
      fill(this.#meta);
      bindText(this.#title, "lib.not_there");
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  #follow() {
    const known = jobs.get(this.#id);
    if (known && known !== this.#job) this.#show(known);
  }

  /** @param {Job} job */
  #show(job) {
    this.#job = job;
    this.#body.hidden = false;
    const done = job.status === "completed" && Boolean(job.artifacts.video);
    const words = [document.documentElement.lang, library.engines.length, library.voices.length, library.avatars.length];
    const avatar = library.avatar(job.avatar_url);
    delete this.#title.dataset.i18n;
    this.#title.textContent = titleOf(job);
    this.#part("meta", [job.status, job.draft, job.promoted_from, words], () => this.#fillMeta(job));
    this.#part("tools", [job.starred, job.folder_id, folders.list, words], () => this.#fillTools(job));
    this.#part("frame", [done, job.artifacts.video, avatar?.image_url], () => {
      shapeFrame(this.#frame, job.output.aspect, avatar);
      const { video, control } = done ? subtitledPlayer(job) : { video: null, control: null };
      fill(this.#frame, video ?? (avatar ? h("img", { class: "frame-picture", src: avatar.image_url, alt: "" }) : h("div", { class: "frame-empty" }, icon("person"))));
      fill(this.#subtitles, control);
    });
    this.#frame.classList.toggle("is-waiting", isActive(job));
    this.#progress.update(job);
    this.#part("actions", [job.status, job.draft, done], () => fill(this.#actions, ...this.#buttons(job, done)));
    this.#part("notices", [job.fallback_reason, job.draft, job.notice, job.error, job.attempts, job.status, words], () => fill(this.#notices, ...jobNotices(job)));
    this.#part("quality", [done, job.artifacts.report, words], () => this.#quality.fill(done && qualityReport(job)));
    this.#part("made", [job, words], () => this.#made.fill(factList(settingRows(job))));
    this.#part("origin", [job, words], () => this.#origin.fill(h("div", { class: "origin" }, done && h("p", { class: "quiet", t: "lib.origin_note" }), factList(provenanceRows(job)))));
    this.#part("tried", [job.attempts, words], () => this.#tried.fill(job.attempts.length > 0 && attemptList(job.attempts)));
    this.#part("files", [done, job.artifacts], () => this.#files.fill(done && fileList(job)));
    this.#part("script", [job.script_input], () => this.#script.fill(Boolean(job.script_input) && h("p", { class: "script-full", dir: "auto" }, job.script_input)));
  }

  /** @param {string} name @param {unknown[]} from @param {() => void} build */
  #part(name, from, build) {
    const key = JSON.stringify(from);
    if (this.#built[name] === key) return;
    this.#built[name] = key;
    build();
  }

  /** @param {Job} job */
  #fillMeta(job) {
    fill(
      this.#meta,
      statusBadge(job),
      job.draft && h("span", { class: "badge badge-draft", t: "draft.badge" }),
      h("span", { class: "quiet" }, moment(job.created_at)),
      job.promoted_from && h("a", { class: "quiet", href: `#/library/${job.promoted_from}`, t: "lib.from_draft" }),
    );
  }

  /** @param {Job} job */
  #fillTools(job) {
    const focused = this.#tools.contains(document.activeElement) ? document.activeElement?.getAttribute("data-tool") : null;
    const move = folderChoice({
      id: "detail-folder",
      current: job.folder_id ?? null,
      move: (id) => void this.#change({ folder_id: id }).then(() => folders.load()),
    });
    move.dataset.tool = "folder";
    fill(
      this.#tools,
      h("button", { type: "button", class: "icon-button star-button", "data-tool": "star", "aria-pressed": String(job.starred === true), tLabel: ["lib.star", { name: titleOf(job) }], onclick: () => void this.#change({ starred: !job.starred }) }, icon("star")),
      h("button", { type: "button", class: "icon-button", "data-tool": "rename", tLabel: "lib.rename", tTitle: "lib.rename", onclick: () => this.#rename() }, icon("pen")),
      h("label", { class: "sr-only", for: "detail-folder", t: "lib.folder" }),
      move,
    );
    if (focused) /** @type {HTMLElement|null} */ (this.#tools.querySelector(`[data-tool="${focused}"]`))?.focus();
  }

  /** @param {Job} job @param {boolean} done */
  #buttons(job, done) {
    const button = (/** @type {string} */ key, /** @type {Parameters<typeof icon>[0]} */ mark, /** @type {() => unknown} */ work, look = "") => {
      const element = h("button", { type: "button", class: `button ${look}`, t: key }, icon(mark));
      element.addEventListener("click", async () => {
        // A second click would make a second video.
        if (element.getAttribute("aria-disabled") === "true") return;
        element.setAttribute("aria-disabled", "true");
        try {
          await work();
        } finally {
          element.removeAttribute("aria-disabled");
        }
      });
      return element;
    };
    // What the dialog would refuse is not what the page puts forward.
    const mayPromote = isPromotable(job) && finalEngines().length > 0;
    return [
      done && h("a", { class: `button ${mayPromote ? "" : "button-primary"}`, href: job.artifacts.video, download: `${job.job_id}.mp4`, t: "result.download" }, icon("download")),
      isPromotable(job) && button("lib.promote", "spark", () => openPromote(job), mayPromote ? "button-primary" : ""),
      isFinished(job) && !done && button("job.retry", "retry", () => this.#try(() => this.#retry()), "button-primary"),
      button("lib.reuse", "reuse", () => this.#try(() => reuseSettings(job))),
      done && button("lib.compare_with", "compare", () => pickJob(job, (other) => go(`#/library/compare/${job.job_id}/${other}`))),
      h("a", { class: "button", href: `#/jobs/${job.job_id}`, t: "lib.open_studio" }, icon("studio")),
      isActive(job) ? button("job.cancel", "close", () => this.#try(() => jobs.cancel(job.job_id))) : button("job.delete", "trash", () => this.#remove(job), "button-quiet"),
    ].filter((item) => item instanceof Node);
  }

  async #retry() {
    const next = await jobs.retry(this.#id);
    go(`#/jobs/${next.job_id}`);
  }

  #rename() {
    const job = this.#job;
    if (!job) return;
    askName({ title: "lib.rename", label: "lib.name", action: "voice.save", value: job.title || titleOf(job), maxlength: MOST_TITLE_CHARS }, async (title) => {
      this.#take(await patchJob(this.#id, { title }));
    });
  }

  /** @param {import("../types-library.js").JobPatchBody} changes */
  async #change(changes) {
    await this.#try(async () => this.#take(await patchJob(this.#id, changes)));
  }

  /** @param {Job} job */
  #take(job) {
    jobList.put(job);
    this.#show(job);
    announce(t("voice.saved"));
  }

  /** @param {Job} job */
  async #remove(job) {
    const sure = await confirmLoss({ title: "job.delete_title", body: ["job.delete_body", { name: titleOf(job) }], action: "confirm.delete" });
    if (!sure) return;
    await this.#try(async () => {
      await jobs.delete(job.job_id);
      announce(t("lib.deleted", { n: 1 }));
      go("#/library");
    });
  }

  /** @param {() => Promise<unknown>} work */
  async #try(work) {
    fill(this.#problem);
    try {
      await work();
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}

/** A card beneath its heading that hides while it has nothing to say. @param {string} name @param {string} title  key */
function section(name, title) {
  const content = h("div", {});
  const element = h("section", { class: `card detail-card detail-${name}`, "aria-labelledby": `${name}-heading` }, h("h3", { id: `${name}-heading`, t: title }), content);
  return {
    element,
    fill: (/** @type {import("../lib/dom.js").Child} */ child) => {
      element.hidden = !child;
      fill(content, child);
    },
  };
}
