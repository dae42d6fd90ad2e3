/**
 * `#/system/dictionary`: how terms are read aloud, in every script from now on.
 */
import { deleteReading, putReading } from "../api/endpoints.js";
import { listDictionary } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { Pane, once, table } from "./pane.js";

/** @typedef {import("../types-system.js").DictionaryEntry} Entry */

export class DictionaryPane extends Pane {
  #term = h("input", { id: "term", class: "input", maxlength: 50, required: true, autocomplete: "off", tPlaceholder: "dictionary.term_hint" });
  #reading = h("input", { id: "reading", class: "input", maxlength: 200, required: true, autocomplete: "off", tPlaceholder: "dictionary.reading_hint" });
  #list = h("div", {});
  /** @type {Entry[]|null} */
  #entries = null;

  build() {
    fill(
      this,
      h("p", { class: "quiet", t: "dictionary.intro" }),
      this.said,
      h(
        "form",
        { class: "inline-form", onsubmit: once(() => this.#add()) },
        h("div", { class: "field" }, h("label", { class: "field-label", for: "term", t: "dictionary.term" }), this.#term),
        h("div", { class: "field" }, h("label", { class: "field-label", for: "reading", t: "dictionary.reading" }), this.#reading),
        h("button", { class: "button button-tonal", t: "dictionary.add" }, icon("plus")),
      ),
      this.#list,
    );
  }

  begin() {
    void this.#load();
  }

  async #load() {
    await this.load(async () => {
      this.#entries = (await listDictionary()).data;
      this.render();
    });
  }

  render() {
    if (!this.#entries) return;
    if (!this.#entries.length) {
      fill(this.#list, h("p", { class: "empty", t: "dictionary.none" }));
      return;
    }
    fill(
      this.#list,
      table(
        "dictionary.title",
        ["dictionary.term", "dictionary.reading", "dictionary.language", "system.action"],
        this.#entries.map((entry) =>
          h(
            "tr",
            {},
            h("th", { scope: "row", lang: entry.language }, entry.term),
            h("td", { lang: entry.language }, entry.reading),
            h("td", {}, h("span", { t: `language.${entry.language}` })),
            h(
              "td",
              { class: "card-actions" },
              h("button", { type: "button", class: "button button-small", t: "dictionary.change", onclick: () => this.#change(entry) }, h("span", { class: "sr-only" }, `${entry.term}: `)),
              h("button", { type: "button", class: "button button-small button-quiet", t: "confirm.delete", onclick: once(() => this.#remove(entry)) }, h("span", { class: "sr-only" }, `${entry.term}: `)),
            ),
          ),
        ),
      ),
    );
  }

  /** @param {Entry} entry */
  #change(entry) {
    this.#term.value = entry.term;
    this.#reading.value = entry.reading;
    this.#reading.focus();
    this.#reading.select();
  }

  async #add() {
    const term = this.#term.value.trim();
    const reading = this.#reading.value.trim();
    const kept = await this.attempt(() => putReading(term, reading));
    if (!kept) return;
    this.#term.value = "";
    this.#reading.value = "";
    this.#term.focus();
    announce(t("settings.saved"));
    await this.#load();
  }

  /** @param {Entry} entry */
  async #remove(entry) {
    const sure = await confirmLoss({ title: "dictionary.delete_title", body: ["dictionary.delete_body", { term: entry.term }], action: "confirm.delete" });
    if (!sure) return;
    await this.attempt(() => deleteReading(entry.term));
    await this.#load();
  }
}
