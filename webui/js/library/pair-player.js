/**
 * One set of controls for two videos: they play in step, and one of them is heard.
 */
import { fill, h } from "../lib/dom.js";
import { icon } from "../ui/icons.js";

/** Further apart than this is seen; nearer, a jump would disturb more than the difference. */
const APART_S = 0.12;
const STEP_S = 0.04;

/** @param {number} seconds */
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export class PairPlayer {
  #videos;
  #playing = false;
  #button = h("button", { type: "button", class: "button button-primary pair-play", onclick: () => (this.#playing ? this.pause() : void this.#play()) });
  #seek = h("input", { type: "range", min: 0, max: 1, step: STEP_S, tLabel: "lib.position", oninput: () => this.#seekTo(Number(this.#seek.value)) });
  #time = h("output", { class: "pair-time" });
  /** @type {number|undefined} */
  #frame;

  /** @param {HTMLVideoElement} first @param {HTMLVideoElement} second */
  constructor(first, second) {
    this.#videos = [first, second];
    this.element = h(
      "div",
      { class: "card pair-controls", role: "group", tLabel: "lib.both_players" },
      this.#button,
      this.#seek,
      this.#time,
      h(
        "div",
        { class: "segments", role: "radiogroup", tLabel: "lib.sound_of" },
        ...["A", "B"].map((name, n) =>
          h(
            "label",
            { class: "segment" },
            h("input", { type: "radio", name: "sound-of", class: "sr-only", checked: n === 0, tLabel: ["lib.sound_from", { name }], onchange: () => this.#hear(n) }),
            h("span", {}, icon("audio"), name),
          ),
        ),
      ),
    );
    for (const video of this.#videos) {
      video.preload = "auto";
      video.addEventListener("loadedmetadata", () => this.#show());
      video.addEventListener("click", () => (this.#playing ? this.pause() : void this.#play()));
      video.addEventListener("ended", () => this.#videos.every((each) => each.ended) && this.pause());
    }
    this.#hear(0);
    this.#show();
  }

  close() {
    this.pause();
  }

  get #length() {
    return Math.max(...this.#videos.map((video) => (Number.isFinite(video.duration) ? video.duration : 0)));
  }

  /** The longer one leads: the shorter one waits at its end. */
  get #leader() {
    const [first, second] = this.#videos;
    return (second.duration || 0) > (first.duration || 0) ? second : first;
  }

  async #play() {
    if (this.#leader.ended) this.#seekTo(0);
    this.#playing = true;
    this.#show();
    await Promise.allSettled(this.#videos.map((video) => (video.ended ? undefined : video.play())));
    const step = () => {
      if (!this.#playing) return;
      this.#keepStep();
      this.#show();
      this.#frame = requestAnimationFrame(step);
    };
    step();
  }

  pause() {
    this.#playing = false;
    if (this.#frame) cancelAnimationFrame(this.#frame);
    for (const video of this.#videos) video.pause();
    this.#show();
  }

  #keepStep() {
    const leader = this.#leader;
    for (const video of this.#videos) {
      if (video === leader || video.ended || video.seeking) continue;
      if (Math.abs(video.currentTime - leader.currentTime) > APART_S) video.currentTime = Math.min(leader.currentTime, video.duration || 0);
    }
  }

  /** @param {number} seconds */
  #seekTo(seconds) {
    for (const video of this.#videos) {
      video.currentTime = Math.min(seconds, video.duration || 0);
      if (this.#playing && !video.ended) void video.play().catch(() => undefined);
    }
    this.#show();
  }

  /** @param {number} heard */
  #hear(heard) {
    this.#videos.forEach((video, n) => {
      video.muted = n !== heard;
    });
  }

  #show() {
    const mark = this.#playing ? "pause" : "play";
    if (this.#button.dataset.mark !== mark) {
      this.#button.dataset.mark = mark;
      fill(this.#button, icon(mark), h("span", { t: this.#playing ? "lib.pause" : "lib.play" }));
    }
    const now = this.#leader.currentTime;
    const length = this.#length;
    this.#seek.max = String(length || 1);
    if (document.activeElement !== this.#seek || this.#playing) this.#seek.value = String(now);
    this.#seek.style.setProperty("--filled", `${length ? (now / length) * 100 : 0}%`);
    const said = `${clock(now)} / ${clock(length)}`;
    this.#seek.setAttribute("aria-valuetext", said);
    if (this.#time.textContent !== said) this.#time.textContent = said;
  }
}
