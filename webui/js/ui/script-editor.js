/**
 * `<aio-script>`: the text to speak, with its size and a hint when voice and language differ.
 */
import { h, fill } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { duration, number } from "../lib/format.js";
import { countCharacters, estimateSeconds, guessLanguage } from "../lib/text.js";
import { form } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { draftRival } from "./draft-rival.js";
import { icon } from "./icons.js";
import { markButtons } from "./marks.js";
import { openScriptWriter } from "./script-writer.js";
import { Sentences } from "./sentences.js";
import { defaultVoice } from "./voices.js";

/** From this share of the limit on, the counter names the limit. */
const NEAR_LIMIT = 0.9;

export class ScriptEditor extends HTMLElement {
  #text = h("textarea", {
    id: "script",
    class: "input script-text",
    dir: "auto",
    rows: 6,
    tLabel: "script.label",
    tPlaceholder: "script.placeholder",
    "aria-describedby": "script-count script-hint",
    spellcheck: "true",
  });
  #count = h("span", { id: "script-count" });
  #example = h("button", { type: "button", class: "link-button", t: "script.example" });
  #write = h("button", { type: "button", class: "button button-small", t: "writer.open", onclick: () => openScriptWriter() }, icon("pen"));
  #check = h("button", { type: "button", class: "link-button", t: "check.open", onclick: () => void this.#sentences.check() });
  #sentences = new Sentences(this.#text);
  #hint = h("div", { id: "script-hint", class: "script-hint" });

  connectedCallback() {
    this.classList.add("script");
    this.#text.value = form.value.script;
    fill(
      this,
      h("div", { class: "script-tools" }, this.#write, markButtons(this.#text)),
      this.#text,
      draftRival(),
      h("div", { class: "script-foot quiet" }, this.#count, this.#example, this.#check),
      this.#hint,
      this.#sentences.element,
    );
    this.#text.addEventListener("input", () => form.set({ script: this.#text.value }));
    this.#example.addEventListener("click", () => {
      const language = library.voice(form.value.voiceId)?.language ?? "en";
      form.set({ script: form.value.twoSpeakers ? t(`script.dialogue_${language}`) : t(`script.example_${language}`) });
      this.#text.focus();
    });
    form.addEventListener("change", () => this.#update());
    for (const news of ["voices", "limits"]) library.addEventListener(news, () => this.#update());
    document.addEventListener("localechange", () => this.#update());
    this.#update();
  }

  /** Bring the keyboard here. */
  focus() {
    this.#text.focus();
  }

  #update() {
    const { script, speed } = form.value;
    if (this.#text.value !== script) this.#text.value = script;
    const size = countCharacters(script);
    const most = library.limits.max_script_chars;
    const over = size > most;
    this.#text.setAttribute("aria-invalid", String(over));
    this.#example.hidden = script.trim() !== "";
    this.#check.hidden = script.trim() === "";
    if (size === 0) bindText(this.#count, "script.count_empty");
    else if (size > most * NEAR_LIMIT)
      bindText(this.#count, "script.count_of", { n: number(size), max: number(most) });
    else bindText(this.#count, "script.count", { n: number(size), time: duration(estimateSeconds(script, speed)) });
    this.#count.classList.toggle("is-over", over);
    this.#updateHint();
  }

  #updateHint() {
    const { script, language, voiceId } = form.value;
    const voice = library.voice(voiceId);
    const spoken = language === "auto" ? guessLanguage(script) : language;
    const mismatch = voice?.builtin && spoken && ["zh", "en", "ja"].includes(voice.language) && spoken !== voice.language;
    if (!voice || !mismatch) {
      fill(this.#hint);
      delete this.#hint.dataset.for;
      return;
    }
    const better =
      library.voices.find((item) => item.builtin && item.language === spoken && item.default) ??
      library.voices.find((item) => item.builtin && item.language === spoken) ??
      defaultVoice();
    const state = `${spoken}|${voice.voice_id}|${document.documentElement.lang}`;
    if (this.#hint.dataset.for === state) return;
    this.#hint.dataset.for = state;
    fill(
      this.#hint,
      h("span", {
        t: ["script.mismatch", { language: t(`language.${spoken}`), voice: displayName(voice), voice_language: t(`language.${voice.language}`) }],
      }),
      better &&
        h("button", {
          type: "button",
          class: "link-button",
          t: ["script.use_voice", { name: displayName(better) }],
          onclick: () => form.set({ voiceId: better.voice_id }),
        }),
    );
  }
}
