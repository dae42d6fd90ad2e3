/**
 * `<aio-history>`: past jobs, newest first, as cards.
 */
import { h, fill } from "../lib/dom.js";
import { ago, percent } from "../lib/format.js";
import { bindText } from "../lib/i18n.js";
import { firstLine } from "../lib/text.js";
import { isActive, jobs } from "../state/jobs.js";
import { library } from "../state/library.js";
import { openJob, openJobId } from "../state/route.js";
import { statusBadge } from "./job-panel.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";

/** @typedef {import("../types.js").Job} Job */

/** "3 minutes ago" grows old by itself. */
const REDRAW_MS = 60_000;

export class History extends HTMLElement {
  #list = h("ul", { class: "history-grid" });
  #empty = h("p", { class: "quiet history-empty", t: "history.empty" });
  #more = h("button", { type: "button", class: "button", t: "history.more" });
  #problem = h("div", {});
  /** @type {Map<string, {element: HTMLLIElement, key: string}>} */
  #cards = new Map();

  connectedCallback() {
    fill(this, this.#empty, this.#list, this.#problem, h("div", { class: "history-foot" }, this.#more));
    this.#more.addEventListener("click", () => void this.#loadMore());
    jobs.addEventListener("change", () => this.#update());
    library.addEventListener("avatars", () => this.#update());
    document.addEventListener("routechange", () => this.#update());
    document.addEventListener("localechange", () => this.#update());
    setInterval(() => this.#update(), REDRAW_MS);
    this.#update();
  }

  #update() {
    const list = jobs.list();
    this.#empty.hidden = list.length > 0 || !jobs.loaded;
    this.#more.hidden = !jobs.hasMore;
    const kept = new Set(list.map((job) => job.job_id));
    for (const [id, { element }] of this.#cards) {
      if (kept.has(id)) continue;
      element.remove();
      this.#cards.delete(id);
    }
    list.forEach((job, position) => this.#place(job, position));
  }

  /** Put one card where it belongs, rebuilt only when what it shows has changed. @param {Job} job @param {number} position */
  #place(job, position) {
    const open = openJobId() === job.job_id;
    const picture = pictureOf(job);
    const when = ago(job.created_at);
    const key = JSON.stringify([job.status, job.progress, job.title, picture, open, when, job.draft, document.documentElement.lang]);
    let card = this.#cards.get(job.job_id);
    if (card?.key !== key) {
      const link = this.#card(job, picture, open, when);
      if (card) {
        const focused = card.element.contains(document.activeElement);
        fill(card.element, link);
        if (focused) link.focus();
        card.key = key;
      } else {
        card = { element: h("li", { "data-job": job.job_id }, link), key };
        this.#cards.set(job.job_id, card);
      }
    }
    if (this.#list.children[position] !== card.element) {
      this.#list.insertBefore(card.element, this.#list.children[position] ?? null);
    }
  }

  /** @param {Job} job @param {string|null} picture @param {boolean} open @param {string} when */
  #card(job, picture, open, when) {
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    if (isActive(job)) {
      const inner = h("span", { class: "bar-fill" });
      inner.style.transform = `scaleX(${job.progress / 100})`;
      bar.append(inner);
    }
    return h(
      "a",
      {
        class: "history-card",
        href: `#/jobs/${job.job_id}`,
        "aria-current": open && "true",
        onclick: (/** @type {Event} */ event) => {
          event.preventDefault();
          openJob(job.job_id);
        },
      },
      h(
        "span",
        { class: "history-picture" },
        picture ? h("img", { src: picture, alt: "", loading: "lazy", decoding: "async" }) : icon("person"),
        isActive(job) && h("span", { class: "history-percent" }, percent(job.progress)),
        isActive(job) && bar,
      ),
      h("span", { class: "history-title" }, job.title || firstLine(job.script_input)),
      h(
        "span",
        { class: "history-meta" },
        statusBadge(job),
        job.status === "completed" && job.draft && h("span", { class: "badge badge-draft", t: "draft.badge" }),
        h("span", { class: "quiet" }, when),
      ),
    );
  }

  async #loadMore() {
    if (this.#more.getAttribute("aria-disabled") === "true") return;
    this.#more.setAttribute("aria-disabled", "true");
    bindText(this.#more, "history.loading");
    fill(this.#problem);
    try {
      await jobs.loadMore();
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#more.setAttribute("aria-disabled", "false");
      bindText(this.#more, "history.more");
    }
  }
}

/** A picture for the card; portraits that are gone from the library are not asked for. @param {Job} job */
function pictureOf(job) {
  return job.artifacts.thumbnail ?? library.avatar(job.avatar_url)?.thumbnail_url ?? null;
}
