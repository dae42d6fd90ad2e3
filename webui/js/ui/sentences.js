/**
 * The script as it will be spoken: a chip for each sentence, with who says it, how long it takes and what is doubtful.
 *
 * A chip plays its sentence, marks it in the text, and opens to its reading. Asked for when the typing rests.
 */
import { checkScript, putReading } from "../api/endpoints.js";
import { debounce, fill, h } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { hasText, t } from "../lib/i18n.js";
import { unitsOf } from "../lib/offsets.js";
import { form, speakerNames } from "../state/form.js";
import { jobs } from "../state/jobs.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";
import { SentencePlayer } from "./sentence-player.js";
import { speakerAt } from "./turns.js";

/** @typedef {import("../types.js").Doubt} Doubt */
/** @typedef {import("../types.js").ScriptCheck} ScriptCheck */
/** @typedef {ScriptCheck["sentences"][number]} Sentence */

/** The typing rests. */
const ASK_AFTER_MS = 1200;
/** Longer ones are looked at when asked: reading them takes seconds. */
const MOST_UNASKED = 6000;
/** A list of a thousand chips helps nobody. */
const MOST_SHOWN = 80;
const FIELDS = ["script", "language", "twoSpeakers", "nameA", "nameB"];

export class Sentences {
  /** The text that is shown, and its answer. */
  #text = "";
  /** @type {ScriptCheck|null} */
  #found = null;
  /** Answers of earlier questions come late. */
  #asked = 0;
  /** Open chips, by what they say: a new answer finds them again. @type {Set<string>} */
  #open = new Set();
  #isAllShown = false;
  /** Not asked because somebody is speaking: asked when that is over. */
  #isPutOff = false;
  #player = new SentencePlayer(() => this.#drawn());
  #ask = debounce(() => void this.#askUnasked(), ASK_AFTER_MS);
  #list = h("ol", { class: "sentences", tLabel: "check.title" });
  #summary = h("p", { class: "quiet" });
  #problem = h("div", {});
  element = h("section", { class: "script-check", hidden: true }, this.#summary, this.#problem, this.#list);

  /** @param {HTMLTextAreaElement} area */
  constructor(area) {
    this.area = area;
    form.addEventListener("change", (event) => {
      const changed = /** @type {CustomEvent<string[]>} */ (event).detail;
      if (!changed.some((name) => FIELDS.includes(name))) return;
      this.#asked += 1;
      this.element.hidden = !form.value.script.trim() || !this.#found;
      this.#drawnIfOld();
      this.#ask();
    });
    area.addEventListener("readingchange", () => void this.check());
    jobs.addEventListener("change", () => {
      if (!this.#isPutOff || isSpeaking()) return;
      this.#isPutOff = false;
      this.#ask();
    });
    document.addEventListener("localechange", () => this.#drawn());
    this.#ask();
  }

  /** Look now, and open what is not read as it is written. */
  async check() {
    const found = await this.#look(true);
    if (!found) return;
    for (const sentence of found.sentences) {
      if (sentence.doubts.length || isOther(sentence)) this.#open.add(sentence.text);
    }
    this.#drawn();
    announce(t("check.done"));
  }

  async #askUnasked() {
    const { script } = form.value;
    if (!/[\p{L}\p{N}]/u.test(script) || script.length > MOST_UNASKED) return;
    this.#isPutOff = isSpeaking();
    if (this.#isPutOff) this.#drawnIfOld();
    else await this.#look(false);
  }

  /** What is shown is of an earlier text, and no answer comes by itself. */
  get #isOld() {
    const { script } = form.value;
    return script !== this.#text && (script.length > MOST_UNASKED || isSpeaking());
  }

  /** Chips of a text that is gone are put away, and come back with it. */
  #drawnIfOld() {
    if (this.#isOld !== this.#list.hidden) this.#drawn();
  }

  /** @param {boolean} isAsked  whether to tell what goes wrong @returns {Promise<ScriptCheck|null>} */
  async #look(isAsked) {
    const { script, language } = form.value;
    if (!script.trim()) return null;
    const question = ++this.#asked;
    if (isAsked) {
      this.element.hidden = false;
      fill(this.#problem, h("p", { class: "quiet", role: "status", t: "check.running" }));
    }
    try {
      const found = await checkScript({ text: script, language, ...speakerNames() });
      if (question !== this.#asked) return null;
      fill(this.#problem);
      this.#found = inUnits(found, script);
      this.#text = script;
      this.element.hidden = false;
      this.#drawn();
      return this.#found;
    } catch (error) {
      // Unasked, it is a courtesy: the video's own check tells what is wrong.
      if (isAsked && question === this.#asked) fill(this.#problem, problemBox(asProblem(error)));
      return null;
    }
  }

  #drawn() {
    const found = this.#found;
    if (!found) return;
    this.#list.hidden = this.#isOld;
    if (this.#list.hidden) {
      fill(this.#summary, h("span", { t: "check.old" }));
      return;
    }
    const doubts = found.sentences.flatMap((sentence) => sentence.doubts).length;
    const said = { n: found.sentences.length, time: duration(found.estimated_s), doubts };
    fill(this.#summary, h("span", { t: [doubts ? "check.summary" : "check.summary_clear", said] }));
    const focused = this.#list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-at") : null;
    const shown = this.#isAllShown ? found.sentences : found.sentences.slice(0, MOST_SHOWN);
    const rest = found.sentences.length - shown.length;
    fill(
      this.#list,
      ...found.problems.map((problem) => h("li", { class: "check-problem", lang: "en" }, problem.message)),
      ...shown.map((sentence) => this.#chip(sentence)),
      rest > 0 && h("li", {}, h("button", { type: "button", class: "link-button", t: ["check.more", { n: rest }], onclick: () => this.#showAll() })),
    );
    if (focused) /** @type {HTMLElement|null} */ (this.#list.querySelector(`[data-at="${focused}"]`))?.focus();
  }

  #showAll() {
    this.#isAllShown = true;
    this.#drawn();
  }

  /** @param {Sentence} sentence */
  #chip(sentence) {
    const isOpen = this.#open.has(sentence.text);
    const speaker = form.value.twoSpeakers ? speakerAt(this.#text, sentence.start) : null;
    const state = this.#player.stateOf(sentence.index);
    const play = h(
      "button",
      {
        type: "button",
        class: "icon-button sentence-play",
        "data-at": `play-${sentence.index}`,
        "aria-busy": String(state === "loading"),
        tLabel: [state ? "voices.stop" : "voices.play", { name: t("check.sentence", { n: sentence.index + 1 }) }],
        onclick: () => void this.#player.toggle(sentence.index, this.#written(sentence), speaker, (error) => fill(this.#problem, problemBox(asProblem(error)))),
      },
      state === "loading" ? h("span", { class: "spinner" }) : icon(state ? "stop" : "play"),
    );
    const words = h(
      "button",
      { type: "button", class: "sentence-text", "data-at": `text-${sentence.index}`, "aria-expanded": String(isOpen), onclick: () => this.#turn(sentence) },
      ...marked(sentence),
    );
    return h(
      "li",
      { class: "sentence", "data-doubts": sentence.doubts.length },
      h(
        "div",
        { class: "sentence-head" },
        play,
        speaker !== null && h("span", { class: `badge speaker-${speaker}` }, form.names[speaker]),
        words,
        sentence.doubts.length > 0 && h("span", { class: "badge badge-draft", t: ["check.doubts", { n: sentence.doubts.length }] }),
        h("span", { class: "quiet sentence-time" }, duration(sentence.estimated_s)),
      ),
      isOpen && h("div", { class: "sentence-more" }, isOther(sentence) && h("p", { class: "quiet spoken" }, sentence.spoken), ...sentence.doubts.map((doubt) => this.#doubt(doubt))),
    );
  }

  /** The sentence as it stands, with the marks that say how it is read. @param {Sentence} sentence */
  #written({ start, end }) {
    const mark = /^\[[^\]\n]*\]/.exec(this.#text.slice(end))?.[0] ?? "";
    return this.#text.slice(start, end) + mark;
  }

  /** Open or close a chip; its words are marked in the text. @param {Sentence} sentence */
  #turn(sentence) {
    if (!this.#open.delete(sentence.text)) {
      this.#open.add(sentence.text);
      if (form.value.script === this.#text) this.area.setSelectionRange(sentence.start, sentence.end);
    }
    this.#drawn();
  }

  /** @param {Doubt} doubt */
  #doubt(doubt) {
    const choices = [doubt.reading, ...doubt.alternatives.filter((item) => item !== doubt.reading)];
    return h(
      "p",
      { class: "doubt" },
      h("strong", {}, doubt.text),
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
      const { script } = form.value;
      if (script !== this.#text) return;
      if (/^[a-zü]+[1-5]$/i.test(reading)) form.set({ script: `${script.slice(0, doubt.end)}[${reading}]${script.slice(doubt.end)}` });
      else await putReading(doubt.text, reading);
      await this.#look(true);
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}

/** Whether the one who would answer is speaking a video. */
const isSpeaking = () => jobs.list().some((job) => ["processing", "fallback"].includes(job.status) && job.stage !== "video" && job.stage !== "finish");

/** Whether it is said in other words than it is written in. @param {Sentence} sentence */
const isOther = (sentence) => sentence.spoken !== "" && sentence.spoken !== sentence.text;

/** The answer with its places in UTF-16 units. @param {ScriptCheck} found @param {string} text @returns {ScriptCheck} */
function inUnits(found, text) {
  const units = unitsOf(text);
  /** @template {{start: number, end: number}} T @param {T} item @returns {T} */
  const moved = (item) => ({ ...item, start: units(item.start), end: units(item.end) });
  return {
    ...found,
    problems: found.problems.map(moved),
    sentences: found.sentences.map((sentence) => ({ ...moved(sentence), doubts: sentence.doubts.map(moved) })),
  };
}

/** The sentence with its doubtful places marked. @param {Sentence} sentence */
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
