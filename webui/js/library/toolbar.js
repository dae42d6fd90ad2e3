/**
 * Searching and narrowing: words, status, engine, drafts or finals, order.
 */
import { debounce, fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { engineTitle, library } from "../state/library.js";
import { icon } from "../ui/icons.js";
import { EVERYTHING, jobList } from "./job-list.js";

const SEARCH_AFTER_MS = 300;
const STATUSES = ["completed", "queued", "processing", "fallback", "failed", "cancelled"];

export class Toolbar {
  #search = h("input", { type: "search", id: "library-search", class: "input", maxlength: 200, autocomplete: "off", spellcheck: "false", tPlaceholder: "lib.search_hint", tLabel: "lib.search" });
  #status = this.#choice("lib.status", [["", "lib.any_status"], ...STATUSES.map((name) => /** @type {[string, string]} */ ([name, `status.${name}`]))], (value) => ({ status: value }));
  #kind = this.#choice("lib.kind", [["", "lib.any_kind"], ["false", "lib.finals"], ["true", "lib.drafts"]], (value) => ({ draft: value === "" ? null : value === "true" }));
  #sort = this.#choice("lib.sort", [["newest", "lib.newest"], ["oldest", "lib.oldest"]], (value) => ({ sort: value === "oldest" ? "oldest" : "newest" }));
  #engine = this.#choice("lib.engine", [], (value) => ({ engine: value }));
  #clear = h("button", { type: "button", class: "link-button", t: "lib.clear", onclick: () => this.clear() });

  constructor() {
    this.element = h(
      "div",
      { class: "lib-toolbar", role: "search" },
      h("div", { class: "search-field" }, icon("search"), this.#search),
      this.#status,
      this.#engine,
      this.#kind,
      this.#sort,
      this.#clear,
    );
    const look = debounce(() => void jobList.look({ q: this.#search.value }), SEARCH_AFTER_MS);
    this.#search.addEventListener("input", (event) => {
      // A half-typed Chinese word is not looked for.
      if (!(/** @type {InputEvent} */ (event).isComposing)) look();
    });
    this.#search.addEventListener("compositionend", look);
  }

  clear() {
    this.#search.value = "";
    const { sort } = jobList.filter;
    void jobList.look({ ...EVERYTHING, sort });
    this.#search.focus();
  }

  render() {
    const { q, status, engine, draft, sort } = jobList.filter;
    if (document.activeElement !== this.#search) this.#search.value = q;
    this.#status.value = status;
    this.#kind.value = draft === null ? "" : String(draft);
    this.#sort.value = sort;
    this.#engines(engine);
    this.#clear.hidden = !jobList.isNarrowed;
  }

  /** @param {string} chosen */
  #engines(chosen) {
    const names = library.engines.map((engine) => engine.name);
    if (chosen && !names.includes(chosen)) names.push(chosen);
    const key = names.map(engineTitle).join();
    if (this.#engine.dataset.built !== key) {
      this.#engine.dataset.built = key;
      fill(this.#engine, h("option", { value: "", t: "lib.any_engine" }), ...names.map((name) => h("option", { value: name }, engineTitle(name))));
    }
    this.#engine.value = chosen;
  }

  /**
   * @param {string} label  key
   * @param {[string, string][]} options  value, key
   * @param {(value: string) => Partial<import("../types-library.js").JobFilter>} narrow
   */
  #choice(label, options, narrow) {
    const select = h("select", { class: "input", tLabel: label, onchange: () => void jobList.look(narrow(select.value)) }, ...options.map(([value, key]) => h("option", { value, t: key })));
    return select;
  }
}

/** How many were found, in words. */
export function foundWords() {
  const { total, items, isNarrowed } = jobList;
  const n = total ?? items.length;
  return t(isNarrowed ? "lib.found" : "lib.count", { n });
}
