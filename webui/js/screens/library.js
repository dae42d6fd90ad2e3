/**
 * `#/library`, `#/library/<job_id>` and `#/library/compare/<a>/<b>`: past videos, one of them, two side by side.
 */
import { h } from "../lib/dom.js";
import { route } from "../shell/router.js";
import { Compare } from "../library/compare.js";
import { Detail } from "../library/detail.js";
import { Overview } from "../library/overview.js";

export default class LibraryScreen extends HTMLElement {
  static css = "/static/css/library.css";
  /** @type {Overview|null} */
  #overview = null;
  /** @type {Detail|Compare|null} */
  #open = null;
  /** Where the cards were scrolled to. */
  #scrolled = 0;
  #place = h("div", { class: "lib-open" });

  connectedCallback() {
    this.classList.add("screen", "library-screen");
    this.append(this.#place);
    this.#show(route().params);
  }

  disconnectedCallback() {
    this.#overview?.close();
    this.#open?.close();
  }

  /** @param {string[]} params */
  routeChanged(params) {
    if (!this.#open) this.#scrolled = scrollY;
    this.#show(params);
    scrollTo({ top: this.#open ? 0 : this.#scrolled });
    const heading = /** @type {HTMLElement|null} */ ((this.#open ?? this.#overview)?.element.querySelector("h2[tabindex]"));
    heading?.focus({ preventScroll: true });
  }

  /** The cards stay as they are behind an open video. @param {string[]} params */
  #show([first = "", ...rest]) {
    this.#open?.close();
    this.#open?.element.remove();
    this.#open = null;
    if (first) {
      this.#open = first === "compare" ? new Compare(rest[0] ?? "", rest[1] ?? "") : new Detail(first);
      this.#place.append(this.#open.element);
    } else if (this.#overview) {
      this.#overview.refresh();
    } else {
      this.#overview = new Overview();
      this.prepend(this.#overview.element);
    }
    if (this.#overview) this.#overview.element.hidden = Boolean(first);
    this.#place.hidden = !first;
  }
}
