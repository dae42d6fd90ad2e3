/**
 * Hearing a voice say any sentence, as fast and as high as wanted.
 */
import { previewVoice } from "../api/endpoints.js";
import { fill, freshId, h } from "../lib/dom.js";
import { isChinese, t } from "../lib/i18n.js";
import { number } from "../lib/format.js";
import { countCharacters } from "../lib/text.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";

/** @typedef {import("../types.js").Voice} Voice */

const MAX_CHARS = 300;

export class VoiceListen {
  #voice;
  #text = h("textarea", { id: "listen-text", class: "input", rows: 3, maxlength: MAX_CHARS, tPlaceholder: "voicepage.listen_placeholder" });
  #engine = h("select", { id: "listen-engine", class: "input" });
  #engineField = h("div", { class: "field" }, h("label", { class: "field-label", for: "listen-engine", t: "voicepage.listen_engine" }), this.#engine);
  #speed = range("voicepage.speed", { min: 0.5, max: 2, step: 0.05, value: 1 }, (value) => `${number(value)}×`);
  #pitch = range("options.pitch", { min: -12, max: 12, step: 1, value: 0 }, (value) => t("options.semitones", { n: value > 0 ? `+${value}` : value }));
  #button = h("button", { type: "button", class: "button", t: "voicepage.listen" }, icon("play"));
  #audio = h("audio", { controls: true, hidden: true, tLabel: "voicepage.listen_result" });
  #problem = h("div", {});
  #address = "";
  #busy = false;

  /** @param {Voice} voice */
  constructor(voice) {
    this.#voice = voice;
    this.element = h(
      "section",
      { class: "card voice-listen", "aria-labelledby": "listen-title" },
      h("h3", { id: "listen-title", t: "voicepage.listen_title" }),
      h("label", { class: "sr-only", for: "listen-text", t: "voicepage.listen_text" }),
      this.#text,
      h("div", { class: "listen-manner" }, this.#speed.element, this.#pitch.element, this.#engineField),
      h("div", { class: "listen-row" }, this.#button, this.#audio),
      this.#problem,
    );
    this.#text.lang = voice.language === "auto" ? "" : voice.language;
    this.#button.addEventListener("click", () => void this.#listen());
    this.update(voice);
  }

  /** @param {Voice} voice */
  update(voice) {
    this.#voice = voice;
    const ready = (voice.engines ?? []).filter((engine) => engine.ready);
    this.#engineField.hidden = ready.length < 2;
    const chosen = this.#engine.value || "auto";
    fill(
      this.#engine,
      h("option", { value: "auto", t: "engine.auto" }),
      ...ready.map((engine) => h("option", { value: engine.engine }, isChinese() ? engine.label_zh : engine.label_en)),
    );
    this.#engine.value = chosen;
  }

  close() {
    this.#audio.pause();
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
  }

  async #listen() {
    if (this.#busy) return;
    this.#setBusy(true);
    fill(this.#problem);
    announce(t("voices.preparing"));
    try {
      const text = this.#text.value.trim();
      const manner = { speed: this.#speed.value(), pitch: this.#pitch.value(), speech_engine: this.#engine.value || "auto" };
      const wav = await previewVoice(this.#voice.voice_id, { ...manner, ...(countCharacters(text) > 0 && { text }) });
      // The screen may have been left meanwhile.
      if (!this.element.isConnected) return;
      this.close();
      this.#address = URL.createObjectURL(wav);
      this.#audio.src = this.#address;
      this.#audio.hidden = false;
      await this.#audio.play().catch(() => undefined);
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#setBusy(false);
    }
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.#busy = busy;
    this.#button.setAttribute("aria-disabled", String(busy));
    fill(this.#button, busy ? h("span", { class: "spinner" }) : icon("play"), h("span", { t: busy ? "voicepage.listen_busy" : "voicepage.listen" }));
  }
}

/**
 * A slider of its own, not bound to the composer.
 * @param {string} label  key
 * @param {{min: number, max: number, step: number, value: number}} limits
 * @param {(value: number) => string} say
 */
function range(label, { min, max, step, value }, say) {
  const id = freshId("range");
  const output = h("output", { class: "field-value", for: id });
  const input = h("input", { type: "range", id, min, max, step, oninput: () => update() });
  input.value = String(value);
  const update = () => {
    const said = say(Number(input.value));
    output.textContent = said;
    input.setAttribute("aria-valuetext", said);
    input.style.setProperty("--filled", `${((Number(input.value) - min) / (max - min)) * 100}%`);
  };
  update();
  const element = h("div", { class: "field" }, h("div", { class: "field-row" }, h("label", { class: "field-label", for: id, t: label }), output), input);
  return { element, value: () => Number(input.value) };
}
