/**
 * What the tabs of the System screen share: a place for what failed, buttons that work once at a time, and what is drawn
 * anew in another language.
 */
import { fill, h } from "../lib/dom.js";
import { asProblem, problemBox } from "../ui/problem.js";

export class Pane extends HTMLElement {
  /** What went wrong last. */
  said = h("div", { class: "pane-said" });
  /** In `said`, what the last look at the service failed with. @type {HTMLElement|null} */
  #unread = null;
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
    // What became of an action belongs to the visit in which it was done.
    fill(this.said);
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
   * Do what somebody asked for and show what goes wrong, until the next action.
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

  /**
   * Ask for what is to be seen. Looks follow actions and each other by themselves, so one that works takes away only
   * what an earlier look failed with.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T|null>}
   */
  async load(work) {
    try {
      const found = await work();
      this.#unread?.remove();
      this.#unread = null;
      return found;
    } catch (error) {
      this.#unread?.remove();
      this.#unread = problemBox(asProblem(error));
      this.said.append(this.#unread);
      return null;
    }
  }
}

/**
 * A listener that does its work once at a time: while it lasts, its button is off and says so, and another click or
 * Enter does nothing.
 * @param {() => Promise<unknown>} work
 * @returns {(event: Event) => Promise<void>}
 */
export const once = (work) => async (event) => {
  event.preventDefault();
  const pressed = event instanceof SubmitEvent && event.submitter ? event.submitter : /** @type {Element} */ (event.currentTarget);
  if (pressed.getAttribute("aria-disabled") === "true") return;
  pressed.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    pressed.removeAttribute("aria-disabled");
  }
};

/**
 * Draw anew and leave the focus on the button that does the same, by its `data-act`.
 * @param {Element} root
 * @param {() => void} draw
 */
export function keepFocus(root, draw) {
  const act = root.contains(document.activeElement) ? document.activeElement?.getAttribute("data-act") : null;
  draw();
  if (act) /** @type {HTMLElement|null} */ (root.querySelector(`[data-act="${CSS.escape(act)}"]`))?.focus();
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
