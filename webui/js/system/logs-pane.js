/**
 * `#/system/logs`: what the service and its engines wrote down, newest first; filtered by the service.
 */
import { listLogs } from "../api/system.js";
import { debounce, fill, freshId, h } from "../lib/dom.js";
import { locale } from "../lib/i18n.js";
import { Repeat } from "../lib/repeat.js";
import { icon } from "../ui/icons.js";
import { Pane, once } from "./pane.js";

/** @typedef {import("../types-system.js").LogLine} LogLine */

const FOLLOW_EVERY_MS = 2000;
const TYPING_MS = 350;
/** Lines that one look for older ones may ask for while a filter finds few. */
const MOST_PAGES = 8;
const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"];

export class LogsPane extends Pane {
  #lines = h("ol", { class: "log", reversed: true });
  #older = h("button", { type: "button", class: "button", t: "logs.older", onclick: once(() => this.#loadOlder()) });
  #empty = h("p", { class: "empty", t: "logs.none", hidden: true });
  #level = this.#select("logs.level", [["", "logs.any_level"], ...LEVELS.map((name) => /** @type {[string, string]} */ ([name, `logs.level_${name}`]))]);
  #source = this.#select("logs.source", [["", "logs.any_source"], ["app", "logs.source_app"], ["worker", "logs.source_worker"]]);
  #text = this.#input("logs.text");
  #job = this.#input("logs.job");
  #follow = h("input", { type: "checkbox", onchange: () => (this.#follow.checked ? this.#asking.start() : this.#asking.stop()) });
  /** @type {string|null} */
  #cursor = null;
  /** What the list was last drawn from: its newest line, its filter, its language. */
  #newest = "";
  /** Counts the looks: the slow answer of an earlier one is not shown. */
  #looks = 0;
  #asking = new Repeat(
    () => this.#load(),
    () => FOLLOW_EVERY_MS,
  );

  build() {
    fill(
      this,
      h(
        "form",
        { class: "log-filter", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
        this.#level.field,
        this.#source.field,
        this.#text.field,
        this.#job.field,
        h("label", { class: "tick" }, this.#follow, h("span", { t: "logs.follow" })),
        h("button", { type: "button", class: "button", t: "logs.again", onclick: () => void this.#load() }, icon("retry")),
      ),
      this.said,
      h("div", { class: "log-frame", tabindex: "0", role: "region", tLabel: "logs.title" }, this.#lines),
      this.#empty,
      h("div", {}, this.#older),
    );
  }

  begin() {
    void this.#load();
    if (this.#follow.checked) this.#asking.start();
  }

  end() {
    this.#asking.stop();
  }

  #filter() {
    return { level: this.#level.value(), source: this.#source.value(), q: this.#text.value(), job_id: this.#job.value() };
  }

  async #load() {
    const look = ++this.#looks;
    const filter = this.#filter();
    const answer = listFrom(filter, null);
    await Promise.allSettled([answer]);
    if (look !== this.#looks) return;
    await this.load(async () => {
      const { data, next_cursor: cursor } = await answer;
      const newest = JSON.stringify([data[0], data.length, filter, locale()]);
      // Older lines that somebody asked for stay while nothing new has come.
      if (newest === this.#newest) return;
      this.#newest = newest;
      this.#cursor = cursor;
      fill(this.#lines, ...data.map(line));
      this.#settle();
    });
  }

  async #loadOlder() {
    if (!this.#cursor) return;
    const list = this.#newest;
    await this.attempt(async () => {
      const { data, next_cursor: cursor } = await listFrom(this.#filter(), this.#cursor);
      // The list to which these belong may have given way to another.
      if (list !== this.#newest) return;
      this.#cursor = cursor;
      this.#lines.append(...data.map(line));
      this.#settle();
    });
  }

  #settle() {
    this.#older.hidden = !this.#cursor;
    this.#empty.hidden = this.#lines.childElementCount > 0;
  }

  render() {
    this.#newest = "";
    if (this.isConnected) void this.#load();
  }

  /** @param {string} label @param {[string, string][]} options  value and key */
  #select(label, options) {
    const id = freshId("log");
    const select = h("select", { id, class: "input", onchange: () => void this.#load() }, ...options.map(([value, key]) => h("option", { value, t: key })));
    return { field: h("div", { class: "field" }, h("label", { class: "field-label", for: id, t: label }), select), value: () => select.value };
  }

  /** @param {string} label */
  #input(label) {
    const id = freshId("log");
    const input = h("input", { id, class: "input", type: "search", maxlength: 200, autocomplete: "off", spellcheck: "false", oninput: debounce(() => void this.#load(), TYPING_MS) });
    return { field: h("div", { class: "field" }, h("label", { class: "field-label", for: id, t: label }), input), value: () => input.value.trim() };
  }
}

/**
 * One page; a filter that looked through its share and found nothing is asked on.
 * @param {{level: string, source: string, q: string, job_id: string}} filter
 * @param {string|null} cursor
 */
async function listFrom(filter, cursor) {
  let page = await listLogs({ ...filter, cursor });
  for (let n = 1; n < MOST_PAGES && !page.data.length && page.next_cursor; n++) {
    page = await listLogs({ ...filter, cursor: page.next_cursor });
  }
  return page;
}

/** @type {Record<string, string>} */
const LOOKS = { ERROR: "badge-error", CRITICAL: "badge-error", WARNING: "badge-fallback" };

/** @param {LogLine} entry */
function line(entry) {
  const at = new Date(entry.at);
  const shown = Number.isFinite(at.getTime())
    ? new Intl.DateTimeFormat(locale(), { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(at)
    : entry.at;
  return h(
    "li",
    { class: "log-line", "data-level": entry.level },
    h("time", { datetime: entry.at, class: "quiet" }, shown),
    h("span", { class: `badge ${LOOKS[entry.level] ?? "badge-idle"}` }, entry.level),
    h("span", { class: "log-source quiet" }, entry.source),
    h("span", { class: "log-message", lang: "en" }, entry.message),
    entry.job_id && h("a", { class: "log-job", href: `#/jobs/${entry.job_id}` }, entry.job_id),
  );
}
