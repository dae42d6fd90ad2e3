/**
 * What the tabs of the System screen share: a place for the last failure, and what is drawn anew in another language.
 */
import { fill, h } from "../lib/dom.js";
import { asProblem, problemBox } from "../ui/problem.js";

export class Pane extends HTMLElement {
  /** What went wrong last. */
  said = h("div", { class: "pane-said" });
  #onLocale = () => this.render();

  connectedCallback() {
    this.classList.add("pane");
    document.addEventListener("localechange", this.#onLocale);
    if (!this.childElementCount) this.build();
    this.begin();
  }

  disconnectedCallback() {
    document.removeEventListener("localechange", this.#onLocale);
    this.end();
  }

  /** Make the lasting parts, once. */
  build() {}

  /** Shown: ask for what is to be seen. */
  begin() {}

  /** Hidden. */
  end() {}

  /** Draw what depends on data or language. */
  render() {}

  /**
   * Do it and show what goes wrong.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T|null>}
   */
  async attempt(work) {
    try {
      fill(this.said);
      return await work();
    } catch (error) {
      fill(this.said, problemBox(asProblem(error)));
      return null;
    }
  }
}

/**
 * Rows of one kind; a scrollable place that the keyboard reaches.
 * @param {string} caption  key
 * @param {string[]} heads  keys
 * @param {HTMLTableRowElement[]} rows
 */
export const table = (caption, heads, rows) =>
  h(
    "div",
    { class: "table-scroll", tabindex: "0", role: "group", tLabel: caption },
    h(
      "table",
      { class: "rows" },
      h("caption", { class: "sr-only", t: caption }),
      h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col", t: head })))),
      h("tbody", {}, ...rows),
    ),
  );
