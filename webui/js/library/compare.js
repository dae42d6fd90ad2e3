/**
 * Two videos side by side: players that keep step, and what their settings differ in.
 */
import { getJob } from "../api/endpoints.js";
import { fill, h } from "../lib/dom.js";
import { bindText } from "../lib/i18n.js";
import { library } from "../state/library.js";
import { icon } from "../ui/icons.js";
import { player } from "../ui/job-result.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { shapeFrame } from "../ui/stage-preview.js";
import { titleOf } from "./card.js";
import { moment, settingRows } from "./facts.js";
import { PairPlayer } from "./pair-player.js";

/** @typedef {import("../types.js").Job} Job */

const NAMES = ["A", "B"];

export class Compare {
  #ids;
  /** @type {Job[]} */
  #jobs = [];
  #title = h("h2", { class: "screen-title", tabindex: "-1", t: "lib.compare_title" });
  #problem = h("div", {});
  #stage = h("div", { class: "compare-stage" });
  #control = h("div", {});
  #table = h("div", {});
  /** @type {PairPlayer|null} */
  #pair = null;
  #onLocale = () => this.#showTable();

  /** @param {string} first @param {string} second */
  constructor(first, second) {
    this.#ids = [first, second];
    this.element = h(
      "div",
      { class: "compare" },
      h("a", { class: "back-link", href: "#/library", t: "lib.back" }, icon("back")),
      h("header", { class: "screen-head" }, this.#title),
      this.#problem,
      this.#stage,
      this.#control,
      this.#table,
    );
    document.addEventListener("localechange", this.#onLocale);
    for (const name of ["engines", "voices", "avatars"]) library.addEventListener(name, this.#onLocale);
    void this.#load();
  }

  close() {
    document.removeEventListener("localechange", this.#onLocale);
    for (const name of ["engines", "voices", "avatars"]) library.removeEventListener(name, this.#onLocale);
    this.#pair?.close();
  }

  async #load() {
    try {
      this.#jobs = await Promise.all(this.#ids.map((id) => getJob(id)));
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
      return;
    }
    if (this.#jobs.some((job) => !job.artifacts.video)) {
      fill(this.#problem, h("p", { class: "inline-warning" }, icon("warning"), h("span", { t: "lib.compare_unfinished" })));
      return;
    }
    const videos = this.#jobs.map((job) => player(job));
    for (const video of videos) video.controls = false;
    fill(this.#stage, ...this.#jobs.map((job, n) => this.#side(job, videos[n], n)));
    this.#pair = new PairPlayer(videos[0], videos[1]);
    fill(this.#control, this.#pair.element);
    this.#showTable();
  }

  /** @param {Job} job @param {HTMLVideoElement} video @param {number} n */
  #side(job, video, n) {
    const frame = h("div", { class: "frame" }, video);
    shapeFrame(frame, job.output.aspect, library.avatar(job.avatar_url));
    return h(
      "section",
      { class: "card compare-side", "aria-labelledby": `side-${n}` },
      h("h3", { id: `side-${n}` }, h("span", { class: "side-name" }, NAMES[n]), h("a", { href: `#/library/${job.job_id}` }, titleOf(job))),
      h("p", { class: "quiet" }, moment(job.created_at)),
      frame,
    );
  }

  #showTable() {
    if (this.#jobs.length < 2 || !this.#pair) return;
    const [first, second] = this.#jobs.map((job) => new Map([...settingRows(job), ["script.label", job.script_input]]));
    const keys = [...new Set([...first.keys(), ...second.keys()])];
    const differing = keys.filter((key) => (first.get(key) ?? "") !== (second.get(key) ?? ""));
    const heading = h("h3", { id: "differences-title" });
    bindText(heading, "lib.differences", { n: differing.length });
    fill(
      this.#table,
      h(
        "section",
        { class: "card compare-table", "aria-labelledby": "differences-title" },
        heading,
        differing.length === 0
          ? h("p", { class: "quiet", t: "lib.no_differences" })
          : h(
              "table",
              {},
              h("thead", {}, h("tr", {}, h("td", {}), ...NAMES.map((name) => h("th", { scope: "col" }, name)))),
              h("tbody", {}, ...differing.map((key) => h("tr", {}, h("th", { scope: "row", t: key }), h("td", {}, first.get(key) ?? "–"), h("td", {}, second.get(key) ?? "–")))),
            ),
      ),
    );
  }
}
