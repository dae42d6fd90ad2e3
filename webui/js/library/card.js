/**
 * One video as a card: its picture, what it is called, how it stands, a star, and a tick to choose several.
 */
import { h } from "../lib/dom.js";
import { ago, percent } from "../lib/format.js";
import { firstLine } from "../lib/text.js";
import { isActive } from "../state/jobs.js";
import { engineTitle, library } from "../state/library.js";
import { icon } from "../ui/icons.js";
import { statusBadge } from "../ui/job-panel.js";

/** @typedef {import("../types.js").Job} Job */

/** @param {Job} job */
export const titleOf = (job) => job.title || firstLine(job.script_input);

/** A picture for a job; portraits that are gone from the library are not asked for. @param {Job} job */
export const pictureOf = (job) => job.artifacts.thumbnail ?? library.avatar(job.avatar_url)?.thumbnail_url ?? null;

/** What a card shows, to see whether it has to be built anew. @param {Job} job @param {boolean} chosen */
export const cardKey = (job, chosen) =>
  JSON.stringify([job.status, job.progress, job.title, job.starred, job.draft, job.selected_engine, pictureOf(job), ago(job.created_at), chosen, engineTitle(job.selected_engine)]);

/**
 * @param {Job} job
 * @param {boolean} chosen
 * @param {{choose: (event: Event) => void, star: () => void}} actions
 */
export function jobCard(job, chosen, { choose, star }) {
  const title = titleOf(job);
  const picture = pictureOf(job);
  return [
    h(
      "a",
      { class: "lib-link", href: `#/library/${job.job_id}` },
      h(
        "span",
        { class: "lib-picture", "data-shape": job.output.aspect === "9:16" && job.artifacts.thumbnail && "tall" },
        picture ? h("img", { src: picture, alt: "", loading: "lazy", decoding: "async" }) : icon("person"),
        job.status !== "completed" && h("span", { class: "lib-state" }, statusBadge(job), isActive(job) && h("strong", {}, percent(job.progress))),
        isActive(job) && bar(job.progress),
      ),
      h("span", { class: "lib-title" }, title),
      h(
        "span",
        { class: "lib-meta quiet" },
        h("span", {}, ago(job.created_at)),
        job.draft ? h("span", { class: "badge badge-draft", t: "draft.badge" }) : h("span", {}, engineTitle(job.selected_engine)),
      ),
    ),
    h(
      "label",
      { class: "lib-pick" },
      h("input", { type: "checkbox", checked: chosen, tLabel: ["lib.choose", { name: title }], onclick: choose }),
    ),
    h("button", { type: "button", class: "lib-star", "aria-pressed": String(job.starred === true), tLabel: ["lib.star", { name: title }], onclick: star }, icon("star")),
  ];
}

/** @param {number} progress  0..100 */
function bar(progress) {
  const inner = h("span", { class: "bar-fill" });
  inner.style.transform = `scaleX(${progress / 100})`;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}
