/**
 * Recording a voice in the page: a text to read, the level while speaking, and the result to listen to.
 */
import { fill, h } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { MAX_SECONDS, MIN_SECONDS, Recorder, recordingObstacle, refusalOf } from "./recorder.js";

/** The meter's scale: silence to full, in decibels. */
const QUIETEST_DB = -60;
/** Speech below this is drowned by the noise of a room. */
const QUIET_RMS_DB = -38;
/** Advice that changes with every syllable cannot be read. */
const ADVICE_EVERY_MS = 600;
const BARS = 120;

/** @param {number} seconds */
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** @param {number} value  amplitude */
const decibels = (value) => (value > 0 ? 20 * Math.log10(value) : -Infinity);

/** A page that is closed takes with it what is being recorded: the browser asks first. @param {Event} event */
const askToStay = (event) => event.preventDefault();

export class RecordPanel {
  /** @type {Recorder|null} */
  #recorder = null;
  #take;
  #language = () => "zh";
  #text = h("p", { class: "read-text" });
  #time = h("output", { class: "record-time" }, "0:00");
  #meter = h("div", { class: "record-meter", role: "meter", "aria-valuemin": QUIETEST_DB, "aria-valuemax": 0, "aria-valuenow": QUIETEST_DB, tLabel: "voicepage.level" });
  #advice = h("p", { class: "record-advice quiet" });
  #problem = h("div", {});
  #devices = h("select", { id: "microphone", class: "input" });
  #devicesField = h("div", { class: "field", hidden: true }, h("label", { class: "field-label", for: "microphone", t: "voicepage.microphone" }), this.#devices);
  #button = h("button", { type: "button", class: "button record-button" });
  /** @type {HTMLElement[]} */
  #bars = Array.from({ length: BARS }, () => h("span", { class: "record-bar" }));
  #advised = 0;

  /**
   * @param {(file: File) => void} take  gets the recording
   * @param {() => string} language  that is spoken: "zh", "en" or "ja"
   */
  constructor(take, language) {
    this.#take = take;
    this.#language = language;
    fill(this.#meter, ...this.#bars);
    this.element = h("div", { class: "record-panel" });
    const obstacle = recordingObstacle();
    if (obstacle) {
      fill(
        this.element,
        h("div", { class: "notice notice-draft", role: "status" }, icon("info"), h("div", { class: "notice-body" }, h("p", { class: "notice-title", t: "voicepage.cannot_record" }), h("p", { t: obstacle }), h("p", { t: "voicepage.upload_instead" }))),
      );
      return;
    }
    this.#button.addEventListener("click", () => (this.#recorder ? this.#recorder.stop() : void this.#start()));
    this.#devices.addEventListener("change", () => this.#recorder && void this.#restart());
    fill(
      this.element,
      h("div", { class: "read-aloud" }, h("p", { class: "field-label", t: "voicepage.read_aloud" }), this.#text),
      this.#meter,
      h("div", { class: "record-row" }, this.#button, this.#time, this.#advice),
      this.#devicesField,
      this.#problem,
    );
    this.showText();
    this.#idle();
  }

  /** The text in the language that is chosen. */
  showText() {
    const language = this.#language();
    this.#text.lang = language;
    bindText(this.#text, { zh: "voicepage.read_zh", en: "voicepage.read_en", ja: "voicepage.read_ja" }[language] ?? "voicepage.read_zh");
  }

  /** Give the microphone back; what was being recorded is forgotten. */
  close() {
    if (!this.#recorder) return;
    this.#recorder.cancel();
    this.#time.textContent = clock(0);
    this.#idle();
  }

  /** Give the microphone back; what was recorded so far is taken. */
  stop() {
    if (this.element.classList.contains("is-recording")) this.#recorder?.stop();
    else this.close();
  }

  #idle() {
    this.#recorder = null;
    removeEventListener("beforeunload", askToStay);
    this.element.classList.remove("is-recording");
    fill(this.#button, icon("voices"), h("span", { t: "voicepage.record" }));
    bindText(this.#advice, "voicepage.record_hint", { min: MIN_SECONDS, max: MAX_SECONDS });
    for (const bar of this.#bars) {
      bar.style.setProperty("--level", "0");
      bar.classList.remove("is-clipped");
    }
  }

  async #restart() {
    this.close();
    await this.#start();
  }

  async #start() {
    fill(this.#problem);
    const recorder = new Recorder();
    this.#recorder = recorder;
    recorder.addEventListener("level", (event) => this.#level(/** @type {CustomEvent} */ (event).detail));
    recorder.addEventListener("done", (event) => {
      if (this.#recorder !== recorder) return;
      this.#idle();
      announce(t("voicepage.recorded"));
      this.#take(/** @type {CustomEvent<File>} */ (event).detail);
    });
    bindText(this.#advice, "voicepage.asking");
    try {
      await recorder.start(this.#devices.value);
    } catch (error) {
      if (this.#recorder !== recorder) return;
      this.#idle();
      console.info("no microphone", error);
      fill(this.#problem, h("p", { class: "inline-warning", role: "alert" }, icon("warning"), h("span", { t: refusalOf(error) })));
      return;
    }
    if (this.#recorder !== recorder) return;
    this.element.classList.add("is-recording");
    addEventListener("beforeunload", askToStay);
    fill(this.#button, icon("stop"), h("span", { t: "voicepage.stop" }));
    announce(t("voicepage.recording"));
    void this.#listDevices(recorder.device);
  }

  /** Their names are told only once a microphone is allowed. @param {string} current */
  async #listDevices(current) {
    const found = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "audioinput" && device.deviceId);
    this.#devicesField.hidden = found.length < 2;
    fill(this.#devices, ...found.map((device, n) => h("option", { value: device.deviceId }, device.label || t("voicepage.microphone_n", { n: n + 1 }))));
    this.#devices.value = current;
  }

  /** @param {{rms: number, peak: number, seconds: number, isClipped: boolean}} level */
  #level({ rms, peak, seconds, isClipped }) {
    this.#time.textContent = clock(seconds);
    const now = Math.max(QUIETEST_DB, Math.min(0, decibels(peak)));
    // Newest at the right: the oldest bar moves there.
    const bar = /** @type {HTMLElement} */ (this.#bars.shift());
    this.#bars.push(bar);
    bar.style.setProperty("--level", String(1 - now / QUIETEST_DB));
    bar.classList.toggle("is-clipped", isClipped);
    this.#meter.append(bar);
    if (performance.now() - this.#advised < ADVICE_EVERY_MS) return;
    this.#advised = performance.now();
    this.#meter.setAttribute("aria-valuenow", String(Math.round(now)));
    this.#meter.setAttribute("aria-valuetext", t("report.decibels", { n: Math.round(now) }));
    const quiet = decibels(rms) < QUIET_RMS_DB;
    bindText(this.#advice, isClipped ? "voicepage.too_loud" : quiet ? "voicepage.too_quiet" : "voicepage.good_level");
  }
}
