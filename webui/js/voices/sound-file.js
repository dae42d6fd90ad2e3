/**
 * A recording that was chosen but not sent yet: its waveform and a player.
 */
import { fill, h } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { shapeOf } from "./decode.js";
import { PEAKS, Waveform } from "./waveform.js";

export class SoundFile {
  #address = "";
  #audio = h("audio", { controls: true, preload: "metadata", tLabel: "voicepage.your_recording" });
  #wave = new Waveform();
  #name = h("p", { class: "sound-name" });
  /** s, or null where the browser cannot read it. @type {number|null} */
  seconds = null;

  constructor() {
    this.element = h("div", { class: "sound-file", hidden: true }, this.#name, this.#wave.element, this.#audio);
    this.#wave.follow(this.#audio);
  }

  /** @param {File} file */
  async show(file) {
    this.clear();
    this.#address = URL.createObjectURL(file);
    this.#audio.src = this.#address;
    this.element.hidden = false;
    this.#wave.element.hidden = true;
    fill(this.#name, h("strong", {}, file.name));
    const mine = this.#address;
    const shape = await shapeOf(await file.arrayBuffer(), PEAKS);
    // Another one was chosen meanwhile.
    if (mine !== this.#address) return;
    this.seconds = shape?.seconds ?? null;
    if (!shape) return;
    this.#wave.element.hidden = false;
    this.#wave.show(shape.peaks, shape.seconds, []);
    fill(this.#name, h("strong", {}, file.name), " ", h("span", { class: "quiet" }, duration(shape.seconds)));
  }

  clear() {
    this.#audio.removeAttribute("src");
    this.#audio.load();
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
    this.seconds = null;
    this.element.hidden = true;
  }

  close() {
    this.clear();
    this.#wave.close();
  }
}
