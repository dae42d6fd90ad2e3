/**
 * Choosing the other video for a comparison.
 */
import { searchJobs } from "../api/library.js";
import { debounce, fill, h } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { pictureOf, titleOf } from "./card.js";
import { EVERYTHING } from "./job-list.js";

/** @typedef {import("../types.js").Job} Job */

const MOST_SHOWN = 24;
const SEARCH_AFTER_MS = 300;

/** @param {Job} first @param {(id: string) => void} take */
export function pickJob(first, take) {
  const list = h("ul", { class: "pick-list" });
  const search = h("input", { type: "search", id: "pick-search", class: "input", maxlength: 200, autocomplete: "off", tPlaceholder: "lib.search_hint", tLabel: "lib.search" });
  let asked = 0;
  const look = async () => {
    const mine = ++asked;
    try {
      const page = await searchJobs({ ...EVERYTHING, status: "completed", q: search.value }, { limit: MOST_SHOWN });
      if (mine !== asked) return;
      const others = page.data.filter((job) => job.job_id !== first.job_id);
      fill(list, ...others.map(row), others.length === 0 && h("li", { class: "quiet", t: "lib.nothing_found" }));
    } catch (error) {
      fill(list, problemBox(asProblem(error)));
    }
  };
  const row = (/** @type {Job} */ job) => {
    const picture = pictureOf(job);
    const choose = () => {
      dialog.close();
      take(job.job_id);
    };
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "pick-row", onclick: choose },
        picture ? h("img", { src: picture, alt: "", width: 64, height: 48, loading: "lazy" }) : icon("person"),
        h("span", {}, h("span", { class: "pick-title" }, titleOf(job)), h("span", { class: "quiet" }, ago(job.created_at))),
      ),
    );
  };
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "pick-heading" },
    h(
      "div",
      { class: "dialog-content" },
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: "pick-heading", t: "lib.compare_with" }),
        h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => dialog.close() }, icon("close")),
      ),
      h("div", { class: "search-field" }, icon("search"), search),
      list,
    ),
  );
  const later = debounce(() => void look(), SEARCH_AFTER_MS);
  search.addEventListener("input", (event) => {
    if (!(/** @type {InputEvent} */ (event).isComposing)) later();
  });
  search.addEventListener("compositionend", later);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  void look();
}
