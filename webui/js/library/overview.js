/**
 * The library as a whole: shelves at the side, the search above, the cards, and what to do with those that are chosen.
 */
import { fill, h } from "../lib/dom.js";
import { announce } from "../ui/announce.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { library } from "../state/library.js";
import { folders } from "./folders.js";
import { Grid } from "./grid.js";
import { jobList } from "./job-list.js";
import { SelectionBar } from "./selection-bar.js";
import { Shelves } from "./shelves.js";
import { foundWords, Toolbar } from "./toolbar.js";

/** "3 minutes ago" grows old by itself. */
const REDRAW_MS = 60_000;

export class Overview {
  #toolbar = new Toolbar();
  #shelves = new Shelves();
  #grid = new Grid(() => this.#toolbar.clear());
  #selection = new SelectionBar(this.#grid);
  #count = h("p", { class: "quiet" });
  #problem = h("div", {});
  #counted = "";
  #render = () => this.render();
  #clock = setInterval(this.#render, REDRAW_MS);
  /** What could not be read while the service was away is asked again when it is back. */
  #heal = () => {
    if (jobList.error) this.refresh();
  };
  #connection = new MutationObserver(() => document.documentElement.dataset.connection === "live" && this.#heal());

  constructor() {
    this.element = h(
      "div",
      { class: "lib-overview" },
      h("header", { class: "screen-head" }, h("div", { class: "screen-heading" }, h("h2", { class: "screen-title", tabindex: "-1", t: "lib.title" }), this.#count)),
      h("div", { class: "lib-columns" }, this.#shelves.element, h("div", { class: "lib-main" }, this.#toolbar.element, this.#problem, this.#grid.element, this.#selection.element)),
    );
    jobList.addEventListener("change", this.#render);
    folders.addEventListener("change", this.#render);
    library.addEventListener("engines", this.#render);
    library.addEventListener("avatars", this.#render);
    document.addEventListener("localechange", this.#render);
    addEventListener("online", this.#heal);
    this.#connection.observe(document.documentElement, { attributes: true, attributeFilter: ["data-connection"] });
    this.#grid.addEventListener("choose", () => this.#selection.render());
    this.render();
    void jobList.open();
    folders.load().catch((error) => fill(this.#problem, problemBox(asProblem(error))));
  }

  /** Shown again after a video was looked at: something may have changed there. */
  refresh() {
    void jobList.refresh();
    void folders.load().catch(() => undefined);
  }

  close() {
    clearInterval(this.#clock);
    removeEventListener("online", this.#heal);
    this.#connection.disconnect();
    jobList.close();
    this.#grid.close();
    jobList.removeEventListener("change", this.#render);
    folders.removeEventListener("change", this.#render);
    library.removeEventListener("engines", this.#render);
    library.removeEventListener("avatars", this.#render);
    document.removeEventListener("localechange", this.#render);
  }

  render() {
    this.#toolbar.render();
    this.#shelves.render();
    this.#grid.render();
    this.#selection.render();
    if (!jobList.loaded || jobList.loading) return;
    const words = foundWords();
    this.#count.textContent = words;
    if (words !== this.#counted && jobList.isNarrowed) announce(words);
    this.#counted = words;
  }
}
