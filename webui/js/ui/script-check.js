/**
 * What will be said, sentence by sentence, with doubtful readings that can be settled by a click.
 */
import { checkScript, putReading } from "../api/endpoints.js";
import { h, fill } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { hasText, t } from "../lib/i18n.js";
import { form, speakerNames } from "../state/form.js";
import { announce } from "./announce.js";
import { asProblem, problemBox } from "./problem.js";

/** @typedef {import("../types.js").Doubt} Doubt */
/** @typedef {import("../types.js").ScriptCheck} ScriptCheck */

export class ScriptCheckPanel {
  /** The text that is shown; another one makes the panel stale. */
  #checked = "";
  element = h("div", { class: "script-check", hidden: true, role: "region", tLabel: "check.title" });

  constructor() {
    form.addEventListener("change", () => {
      if (form.value.script !== this.#checked) this.element.hidden = true;
    });
  }

  async open() {
    const { script, language } = form.value;
    if (!script.trim()) return;
    this.#checked = script;
    this.element.hidden = false;
    fill(this.element, h("p", { class: "quiet", role: "status", t: "check.running" }));
    try {
      const found = await checkScript({ text: script, language, ...speakerNames() });
      if (form.value.script === script) this.#show(found);
    } catch (error) {
      fill(this.element, problemBox(asProblem(error)));
    }
  }

  /** @param {ScriptCheck} found */
  #show(found) {
    const doubts = found.sentences.flatMap((sentence) => sentence.doubts);
    fill(
      this.element,
      h(
        "div",
        { class: "check-head" },
        h("p", { class: "quiet", t: ["check.summary", { n: found.sentences.length, time: duration(found.estimated_s), doubts: doubts.length }] }),
        h("button", { type: "button", class: "link-button", t: "dialog.close", onclick: () => (this.element.hidden = true) }),
      ),
      ...found.problems.map((problem) => h("p", { class: "check-problem", lang: "en" }, problem.message)),
      h("ol", { class: "check-list" }, ...found.sentences.map((sentence) => h("li", {}, ...this.#sentence(sentence)))),
    );
    announce(t("check.done"));
  }

  /** @param {ScriptCheck["sentences"][number]} sentence */
  #sentence(sentence) {
    const differs = sentence.spoken && sentence.spoken !== sentence.text;
    return [
      h("p", {}, ...marked(sentence)),
      differs && h("p", { class: "quiet spoken" }, sentence.spoken),
      ...sentence.doubts.map((doubt) => this.#doubt(doubt)),
    ];
  }

  /** @param {Doubt} doubt */
  #doubt(doubt) {
    const choices = [doubt.reading, ...doubt.alternatives.filter((item) => item !== doubt.reading)];
    return h(
      "p",
      { class: "doubt" },
      h("strong", {}, doubt.text),
      " ",
      h("span", { class: "quiet", t: hasText(`doubt.${doubt.reason}`) ? `doubt.${doubt.reason}` : "doubt.polyphone" }),
      ...choices.map((reading, n) =>
        h(
          "button",
          {
            type: "button",
            class: `button button-small ${n === 0 ? "is-current" : ""}`,
            tTitle: ["check.take", { reading }],
            onclick: () => void this.#settle(doubt, reading),
          },
          reading,
        ),
      ),
    );
  }

  /** Chinese readings go into the text at their place; others into the dictionary. @param {Doubt} doubt @param {string} reading */
  async #settle(doubt, reading) {
    try {
      if (/^[a-zü]+[1-5]$/i.test(reading)) {
        const { script } = form.value;
        form.set({ script: `${script.slice(0, doubt.end)}[${reading}]${script.slice(doubt.end)}` });
      } else await putReading(doubt.text, reading);
      await this.open();
    } catch (error) {
      fill(this.element, problemBox(asProblem(error)));
    }
  }
}

/** The sentence with its doubtful places marked. @param {ScriptCheck["sentences"][number]} sentence */
function marked(sentence) {
  const pieces = [];
  let at = 0;
  for (const doubt of sentence.doubts) {
    const start = doubt.start - sentence.start;
    const end = doubt.end - sentence.start;
    if (start < at || end > sentence.text.length) continue;
    pieces.push(sentence.text.slice(at, start), h("mark", {}, sentence.text.slice(start, end)));
    at = end;
  }
  pieces.push(sentence.text.slice(at));
  return pieces;
}
