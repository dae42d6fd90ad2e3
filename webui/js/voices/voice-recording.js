/**
 * The recording that a voice was made from: its waveform with the part that is used, what was measured, and players.
 */
import { getRecording } from "../api/voices.js";
import { fill, h } from "../lib/dom.js";
import { voiceFigures } from "../ui/voice-report.js";
import { shapeOf } from "./decode.js";
import { PEAKS, Waveform } from "./waveform.js";

/** @typedef {import("../types.js").Voice} Voice */

export class VoiceRecording {
  #wave = new Waveform();
  #figures = h("div", { class: "voice-report" });
  #sample = player("voice.sample");
  #reference = player("voice.reference");
  #built = "";

  constructor() {
    this.element = h(
      "section",
      { class: "card voice-recording", "aria-labelledby": "recording-title" },
      h("h3", { id: "recording-title", t: "voicepage.recording_title" }),
      this.#wave.element,
      h("p", { class: "quiet wave-legend", t: "voicepage.legend" }, h("span", { class: "legend-used", "aria-hidden": "true" })),
      h("div", { class: "recording-players" }, field("voice.sample", this.#sample), field("voice.reference", this.#reference)),
      this.#figures,
    );
    this.#wave.follow(this.#sample);
  }

  /** @param {Voice} voice */
  update(voice) {
    const { sample_url: sample, reference_url: reference, report } = voice;
    const key = JSON.stringify([sample, reference, report, document.documentElement.lang]);
    if (key === this.#built) return;
    const isNew = !this.#built;
    this.#built = key;
    this.element.hidden = !sample && !report?.waveform;
    show(this.#sample, sample);
    show(this.#reference, reference);
    fill(this.#figures, ...voiceFigures(report ?? {}));
    // At once from the peaks that the service measured, then finer from the recording itself.
    if (report?.waveform) this.#wave.show(report.waveform, report.duration_s ?? 0, report.used_spans ?? []);
    if (isNew && sample) void this.#drawSample(sample, report?.used_spans ?? []);
  }

  close() {
    this.#sample.pause();
    this.#reference.pause();
    this.#wave.close();
  }

  /** @param {string} address @param {[number, number][]} spans */
  async #drawSample(address, spans) {
    try {
      const shape = await shapeOf(await getRecording(address), PEAKS);
      if (shape && this.element.isConnected) this.#wave.show(shape.peaks, shape.seconds, spans);
    } catch (error) {
      // The coarse drawing stays.
      console.info("the recording could not be read", error);
    }
  }
}

/** @param {string} label */
const player = (label) => h("audio", { controls: true, preload: "none", tLabel: label });

/** @param {string} label @param {HTMLElement} content */
const field = (label, content) => h("div", { class: "field" }, h("span", { class: "field-label", t: label }), content);

/** @param {HTMLAudioElement} audio @param {string|null} address */
function show(audio, address) {
  /** @type {HTMLElement} */ (audio.parentElement).hidden = !address;
  if (address && audio.getAttribute("src") !== address) audio.src = address;
}
