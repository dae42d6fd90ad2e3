/**
 * The buttons that put marks into the script: pauses, readings, turns of a conversation.
 */
import { putReading } from "../api/endpoints.js";
import { fill, h } from "../lib/dom.js";
import { guessLanguage } from "../lib/text.js";
import { form } from "../state/form.js";
import { onFields } from "./fields.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";

const PAUSES_S = [0.5, 1];

/**
 * Put text at the caret, where the undo of the browser knows of it.
 * @param {HTMLTextAreaElement} area
 * @param {string} text
 * @param {number} [at]
 */
function insert(area, text, at = area.selectionEnd) {
  area.focus();
  area.setSelectionRange(at, at);
  // The one way that Ctrl+Z can take back; where a browser has it no more, the text is set.
  if (document.execCommand?.("insertText", false, text)) return;
  area.setRangeText(text, at, at, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

/** @param {HTMLTextAreaElement} area */
export function markButtons(area) {
  const turns = h("span", { class: "mark-group" });
  onFields(["twoSpeakers", "nameA", "nameB"], () => {
    turns.hidden = !form.value.twoSpeakers;
    fill(turns, ...form.names.map((name, n) => turnButton(area, name, n)));
  });
  return h(
    "div",
    { class: "marks", role: "group", tLabel: "marks.label" },
    turns,
    ...PAUSES_S.map((seconds) => tool(["marks.pause", { s: seconds }], () => insert(area, pauseMark(seconds)))),
    tool("marks.reading", () => new ReadingDialog(area).open()),
  );
}

/** @param {string|[string, import("../lib/i18n.js").Params]} key @param {() => void} work */
const tool = (key, work) => h("button", { type: "button", class: "button button-small", t: key, onclick: work });

/** @param {HTMLTextAreaElement} area @param {string} name @param {number} n */
const turnButton = (area, name, n) =>
  h("button", { type: "button", class: `button button-small speaker-${n}`, tLabel: ["marks.turn", { name }], onclick: () => newTurn(area, name) }, icon("plus"), h("span", {}, name));

/** @param {number} seconds */
const pauseMark = (seconds) => (guessLanguage(form.value.script) === "zh" ? `[停顿${seconds}秒]` : `[pause ${seconds}s]`);

/** @param {HTMLTextAreaElement} area @param {string} name */
function newTurn(area, name) {
  const before = area.value.slice(0, area.selectionEnd);
  insert(area, `${before === "" || before.endsWith("\n") ? "" : "\n"}${name}: `);
}

/** How some characters are read: here, or in every script. */
class ReadingDialog {
  #area;
  #end;
  #term = h("input", { type: "text", id: "reading-term", class: "input", maxlength: 60, autocomplete: "off" });
  #reading = h("input", { type: "text", id: "reading-reading", class: "input", maxlength: 200, autocomplete: "off", "aria-describedby": "reading-hint" });
  #problem = h("div", {});

  /** @param {HTMLTextAreaElement} area */
  constructor(area) {
    this.#area = area;
    this.#end = area.selectionEnd;
    const chosen = area.value.slice(area.selectionStart, area.selectionEnd).trim();
    // Nothing chosen: the character before the caret.
    this.#term.value = chosen || ([...area.value.slice(0, this.#end)].at(-1) ?? "").trim();
    this.element = h(
      "dialog",
      { class: "dialog dialog-small", "aria-labelledby": "reading-title" },
      h(
        "form",
        { onsubmit: (/** @type {Event} */ event) => this.#here(event) },
        h("h2", { id: "reading-title", t: "marks.reading_title" }),
        h("div", { class: "field" }, h("label", { class: "field-label", for: "reading-term", t: "marks.term" }), this.#term),
        h("div", { class: "field" }, h("label", { class: "field-label", for: "reading-reading", t: "marks.reading_label" }), this.#reading),
        h("p", { class: "quiet", id: "reading-hint", t: "marks.reading_hint" }),
        this.#problem,
        h(
          "div",
          { class: "dialog-actions" },
          h("button", { type: "button", class: "button button-quiet", t: "dialog.close", onclick: () => this.element.close() }),
          h("button", { type: "button", class: "button", t: "marks.everywhere", onclick: () => void this.#everywhere() }),
          h("button", { type: "submit", class: "button button-primary", t: "marks.here" }),
        ),
      ),
    );
    this.element.addEventListener("close", () => this.element.remove());
  }

  open() {
    document.body.append(this.element);
    this.element.showModal();
    (this.#term.value ? this.#reading : this.#term).focus();
  }

  /** @param {Event} event */
  #here(event) {
    event.preventDefault();
    const term = this.#term.value.trim();
    const reading = this.#reading.value.trim().replace(/[[\]]/g, "");
    if (!term || !reading) {
      (term ? this.#reading : this.#term).focus();
      return;
    }
    // Behind the word that was chosen; a word that stands nowhere else yet is put there too.
    const stands = this.#area.value.slice(0, this.#end).trimEnd().endsWith(term);
    const at = stands ? this.#area.value.slice(0, this.#end).trimEnd().length : this.#end;
    this.element.close();
    insert(this.#area, stands ? `[${reading}]` : `${term}[${reading}]`, at);
  }

  async #everywhere() {
    const term = this.#term.value.trim();
    const reading = this.#reading.value.trim();
    if (!term || !reading) {
      (term ? this.#reading : this.#term).focus();
      return;
    }
    try {
      await putReading(term, reading);
      this.element.close();
      // The text is the same, and is read otherwise.
      this.#area.dispatchEvent(new Event("readingchange"));
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}
