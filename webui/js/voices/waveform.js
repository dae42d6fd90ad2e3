/**
 * A recording drawn on a canvas: the part that is used coloured and framed, the rest pale, and where the player is.
 */
import { h } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { bindAttribute } from "../lib/i18n.js";

/** Peaks that are asked of a recording: more than a wide screen has bars for. */
export const PEAKS = 1200;
const BAR_PX = 2;
const GAP_PX = 1;
const MIN_PEAK = 0.015;
/** Recordings differ in loudness; a quiet one is drawn larger, but not so much that its noise looks like speech. */
const MAX_GAIN = 4;

export class Waveform {
  #canvas = h("canvas", { class: "wave-canvas", role: "img" });
  /** @type {number[]} */
  #peaks = [];
  #seconds = 0;
  /** @type {[number, number][]} */
  #spans = [];
  /** @type {HTMLAudioElement|null} */
  #audio = null;
  /** @type {number|undefined} */
  #frame;
  #sizes = new ResizeObserver(() => this.#draw());
  // Colours are those of the theme, which may change beneath.
  #themes = new MutationObserver(() => this.#draw());

  constructor() {
    this.element = h("div", { class: "wave" }, this.#canvas);
    this.#sizes.observe(this.#canvas);
    this.#themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.#canvas.addEventListener("click", (event) => this.#seek(event));
  }

  /** Look at the page no more. */
  close() {
    this.#sizes.disconnect();
    this.#themes.disconnect();
    if (this.#frame) cancelAnimationFrame(this.#frame);
  }

  /**
   * @param {number[]} peaks  0..1
   * @param {number} seconds
   * @param {[number, number][]} spans  what is used, s; empty: all of it
   */
  show(peaks, seconds, spans) {
    const loudest = Math.max(...peaks, MIN_PEAK);
    const gain = Math.min(MAX_GAIN, 0.95 / loudest);
    this.#peaks = peaks.map((peak) => Math.min(1, peak * gain));
    this.#seconds = seconds;
    this.#spans = spans;
    bindAttribute(this.#canvas, "aria-label", "report.waveform", { time: duration(seconds) });
    this.#draw();
  }

  /** Follow a player, and lead it where the drawing is clicked. @param {HTMLAudioElement} audio */
  follow(audio) {
    this.#audio = audio;
    this.element.classList.add("is-seekable");
    const step = () => {
      this.#draw();
      this.#frame = audio.paused ? undefined : requestAnimationFrame(step);
    };
    for (const name of ["play", "seeked", "pause", "ended"]) {
      audio.addEventListener(name, () => {
        if (this.#frame) cancelAnimationFrame(this.#frame);
        step();
      });
    }
  }

  /** @param {MouseEvent} event */
  #seek(event) {
    if (!this.#audio || !this.#seconds) return;
    const { left, width } = this.#canvas.getBoundingClientRect();
    this.#audio.currentTime = ((event.clientX - left) / width) * this.#seconds;
    void this.#audio.play().catch(() => undefined);
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const pen = this.#canvas.getContext("2d");
    if (!pen || !width || !height) return;
    const scale = devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    pen.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const x = (/** @type {number} */ second) => (second / (this.#seconds || 1)) * width;
    pen.fillStyle = colour("--accent-soft");
    for (const [start, end] of this.#spans) pen.fillRect(x(start), 0, x(end) - x(start), height);
    const used = colour("--accent");
    const unused = colour("--control-line");
    const bars = Math.floor(width / (BAR_PX + GAP_PX));
    for (let bar = 0; bar < bars; bar += 1) {
      const from = Math.floor((bar * this.#peaks.length) / bars);
      const to = Math.max(from + 1, Math.floor(((bar + 1) * this.#peaks.length) / bars));
      const peak = Math.max(MIN_PEAK, ...this.#peaks.slice(from, to));
      const at = ((bar + 0.5) / bars) * this.#seconds;
      const isUsed = !this.#spans.length || this.#spans.some(([start, end]) => at >= start && at <= end);
      pen.fillStyle = isUsed ? used : unused;
      const tall = Math.max(2, peak * (height - 12));
      pen.fillRect(bar * (BAR_PX + GAP_PX), (height - tall) / 2, BAR_PX, tall);
    }
    pen.fillStyle = used;
    for (const [start, end] of this.#spans) {
      pen.fillRect(x(start), 0, 2, height);
      pen.fillRect(Math.min(width, x(end)) - 2, 0, 2, height);
    }
    const now = this.#audio?.currentTime ?? 0;
    if (now > 0) {
      pen.fillStyle = colour("--ink");
      pen.fillRect(Math.min(width - 2, x(now)), 0, 2, height);
    }
  }
}
