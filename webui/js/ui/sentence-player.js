/**
 * Plays one sentence at a time in the voice that will speak it.
 */
import { previewVoice } from "../api/endpoints.js";
import { form } from "../state/form.js";

/** As the service takes for a preview; the rest of a longer sentence is not heard. */
const MOST_CHARACTERS = 300;

export class SentencePlayer {
  #audio = new Audio();
  /** Which sentence is fetched or played. @type {number|null} */
  #index = null;
  /** The address of what is played; null while it is fetched. @type {string|null} */
  #url = null;
  #changed;

  /** @param {() => void} changed  what is played is another one */
  constructor(changed) {
    this.#changed = changed;
    this.#audio.addEventListener("ended", () => this.stop());
  }

  /** @param {number} index @returns {"loading"|"playing"|null} */
  stateOf(index) {
    if (index !== this.#index) return null;
    return this.#url ? "playing" : "loading";
  }

  /**
   * Play it, or stop it when it is playing.
   * @param {number} index
   * @param {string} written  marks included
   * @param {0|1|null} speaker  of a conversation
   * @param {(error: unknown) => void} failed
   */
  async toggle(index, written, speaker, failed) {
    const mine = this.#index === index;
    this.stop();
    const { voiceId, voiceIdB, speed, pitch, speechEngine } = form.value;
    const voice = speaker === 1 ? voiceIdB : voiceId;
    if (mine || !voice) return;
    this.#index = index;
    this.#changed();
    try {
      const text = [...written].slice(0, MOST_CHARACTERS).join("");
      const wav = await previewVoice(voice, { text, speed, pitch, speech_engine: speechEngine });
      if (this.#index !== index) return;
      this.#url = URL.createObjectURL(wav);
      this.#audio.src = this.#url;
      this.#changed();
      await this.#audio.play();
    } catch (error) {
      if (this.#index !== index) return;
      this.stop();
      failed(error);
    }
  }

  stop() {
    if (this.#index === null) return;
    this.#audio.pause();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = this.#index = null;
    this.#changed();
  }
}
