/**
 * The cards of the library; more come as one scrolls. Holds which of them are chosen. Fires `choose`.
 */
import { patchJob } from "../api/library.js";
import { fill, h } from "../lib/dom.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { icon } from "../ui/icons.js";
import { cardKey, jobCard } from "./card.js";
import { jobList } from "./job-list.js";

/** @typedef {import("../types.js").Job} Job */

/** As many as one archive may hold. */
export const MOST_CHOSEN = 200;
/** The next page is asked for before its place is seen. */
const AHEAD = "600px";

export class Grid extends EventTarget {
  #list = h("ul", { class: "lib-grid" });
  #more = h("button", { type: "button", class: "button", t: "history.more", onclick: () => void jobList.more() });
  #foot = h("div", { class: "lib-foot" }, this.#more);
  #note = h("div", {});
  #problem = h("div", {});
  /** @type {Map<string, {element: HTMLLIElement, key: string}>} */
  #cards = new Map();
  /** @type {Set<string>} */
  chosen = new Set();
  /** @type {unknown} */
  #shownError = null;
  /** The last one ticked: with Shift all from there are. @type {string|null} */
  #anchor = null;
  #watch = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && void jobList.more(), { rootMargin: AHEAD });

  /** @param {() => void} clear  looks for everything again */
  constructor(clear) {
    super();
    this.clearSearch = clear;
    this.element = h("div", { class: "lib-results" }, this.#problem, this.#note, this.#list, this.#foot);
    this.#watch.observe(this.#foot);
  }

  close() {
    this.#watch.disconnect();
  }

  /** The jobs that are chosen and shown. @returns {Job[]} */
  get chosenJobs() {
    return jobList.items.filter((job) => this.chosen.has(job.job_id));
  }

  render() {
    const { items, hasMore, loading, loaded, error } = jobList;
    const shown = new Set(items.map((job) => job.job_id));
    for (const [id, { element }] of this.#cards) {
      if (shown.has(id)) continue;
      element.remove();
      this.#cards.delete(id);
      if (!loading) this.chosen.delete(id);
    }
    items.forEach((job, position) => this.#place(job, position));
    this.#list.setAttribute("aria-busy", String(loading));
    this.#list.classList.toggle("has-chosen", this.chosen.size > 0);
    this.#foot.hidden = !hasMore;
    if (error !== this.#shownError) fill(this.#problem, Boolean(error) && problemBox(asProblem(error), { actions: [again()] }));
    this.#shownError = error;
    fill(this.#note, !items.length && !error && (loaded ? this.#nothing() : h("p", { class: "quiet", t: "stage.loading" })));
  }

  #nothing() {
    if (jobList.isNarrowed) {
      return h(
        "div",
        { class: "empty" },
        icon("search"),
        h("p", { t: "lib.nothing_found" }),
        h("button", { type: "button", class: "button", t: "lib.clear", onclick: () => this.clearSearch() }),
      );
    }
    return h("div", { class: "empty" }, icon("library"), h("p", { t: "history.empty" }), h("a", { class: "button button-primary", href: "#/", t: "lib.make_first" }, icon("studio")));
  }

  /** Put one card where it belongs, rebuilt only when what it shows has changed. @param {Job} job @param {number} position */
  #place(job, position) {
    const id = job.job_id;
    const isChosen = this.chosen.has(id);
    const key = cardKey(job, isChosen) + document.documentElement.lang;
    let card = this.#cards.get(id);
    if (card?.key !== key) {
      const element = card?.element ?? h("li", { class: "lib-card", "data-job": id });
      const focused = [...element.children].findIndex((child) => child.contains(document.activeElement));
      element.classList.toggle("is-chosen", isChosen);
      fill(
        element,
        ...jobCard(job, isChosen, { choose: (event) => this.#choose(id, /** @type {MouseEvent} */ (event)), star: () => void this.#star(id) }),
      );
      if (focused >= 0) {
        const child = /** @type {HTMLElement} */ (element.children[focused]);
        (child.querySelector("input") ?? child).focus();
      }
      card = { element, key };
      this.#cards.set(id, card);
    }
    if (this.#list.children[position] !== card.element) this.#list.insertBefore(card.element, this.#list.children[position] ?? null);
  }

  /** @param {string} id @param {MouseEvent} event */
  #choose(id, event) {
    const on = !this.chosen.has(id);
    const ids = jobList.items.map((job) => job.job_id);
    const from = event.shiftKey && this.#anchor ? ids.indexOf(this.#anchor) : -1;
    const to = ids.indexOf(id);
    const range = from < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const each of range) {
      if (on && this.chosen.size < MOST_CHOSEN) this.chosen.add(each);
      else if (!on) this.chosen.delete(each);
    }
    this.#anchor = id;
    this.#told();
  }

  chooseAll() {
    for (const job of jobList.items.slice(0, MOST_CHOSEN)) this.chosen.add(job.job_id);
    this.#told();
  }

  chooseNone() {
    this.chosen.clear();
    this.#told();
  }

  #told() {
    this.render();
    this.dispatchEvent(new Event("choose"));
  }

  /** @param {string} id */
  async #star(id) {
    const job = jobList.get(id);
    if (!job) return;
    try {
      jobList.put(await patchJob(id, { starred: !job.starred }));
      if (jobList.filter.starred !== null) await jobList.refresh();
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}

const again = () => h("button", { type: "button", class: "link-button", t: "nav.again", onclick: () => void jobList.refresh() });
