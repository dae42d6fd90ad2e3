/**
 * Portraits, voices, engines and limits as the service tells them. Fires `avatars`, `voices`, `engines`, `limits`.
 */
import * as api from "../api/endpoints.js";
import { hasText, isChinese, t } from "../lib/i18n.js";

/** @typedef {import("../types.js").Avatar} Avatar */
/** @typedef {import("../types.js").Voice} Voice */
/** @typedef {import("../types.js").Engine} Engine */
/** @typedef {import("../types.js").SpeechEngine} SpeechEngine */
/** @typedef {import("../types.js").Limits} Limits */

/** The service's own defaults, until it has told its limits. @type {Limits} */
const DEFAULT_LIMITS = { max_script_chars: 20_000, max_image_mib: 40, max_audio_mib: 200 };

class Library extends EventTarget {
  /** @type {Avatar[]} */
  avatars = [];
  /** @type {Voice[]} */
  voices = [];
  /** @type {Engine[]} */
  engines = [];
  /** @type {SpeechEngine[]} */
  speechEngines = [];
  limits = DEFAULT_LIMITS;

  /** @param {Partial<Limits>} [limits] */
  setLimits(limits) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.#fire("limits");
  }

  async loadAvatars() {
    const { data } = await api.listAvatars();
    if (isSame(data, this.avatars)) return;
    this.avatars = data;
    this.#fire("avatars");
  }

  async loadVoices() {
    const { data } = await api.listVoices();
    if (isSame(data, this.voices)) return;
    this.voices = data;
    this.#fire("voices");
  }

  async loadEngines() {
    [this.engines, this.speechEngines] = await Promise.all([
      api.listEngines().then((list) => list.data),
      api.listSpeechEngines().then((list) => list.data),
    ]);
    this.#fire("engines");
  }

  /** Put a voice that was asked for anew in its place. @param {Voice} voice */
  putVoice(voice) {
    this.voices = this.voices.map((item) => (item.voice_id === voice.voice_id ? voice : item));
    this.#fire("voices");
  }

  /** @param {string|null} id */
  avatar(id) {
    return this.avatars.find((item) => item.avatar_id === id);
  }

  /** @param {string|null} id */
  voice(id) {
    return this.voices.find((item) => item.voice_id === id);
  }

  /** @param {string} name */
  engine(name) {
    return this.engines.find((item) => item.name === name);
  }

  /** @param {File} file @returns {Promise<Avatar>} */
  async addAvatar(file) {
    const avatar = await api.uploadAvatar(file);
    this.avatars = [...this.avatars.filter((item) => item.avatar_id !== avatar.avatar_id), avatar];
    this.#fire("avatars");
    return avatar;
  }

  /** @param {string} id */
  async removeAvatar(id) {
    await api.deleteAvatar(id);
    this.avatars = this.avatars.filter((item) => item.avatar_id !== id);
    this.#fire("avatars");
  }

  /** @param {string} id */
  async removeVoice(id) {
    await api.deleteVoice(id);
    this.voices = this.voices.filter((item) => item.voice_id !== id);
    this.#fire("voices");
  }

  /** @param {string} name */
  #fire(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** Lists are drawn anew when they are told of, which takes the keyboard away: only for news. @param {object[]} next @param {object[]} known */
const isSame = (next, known) => next.length > 0 && JSON.stringify(next) === JSON.stringify(known);

export const library = new Library();

/**
 * The name of a portrait or voice in the page's language.
 * @param {{name: string, name_zh: string, name_en: string}} item
 */
export const displayName = (item) => (isChinese() ? item.name_zh : item.name_en) || item.name;

/** Our own engines have a name in each language; others keep theirs, listed or not. @param {string} name */
export function engineTitle(name) {
  const key = `engine.title_${name}`;
  return hasText(key) ? t(key) : (library.engine(name)?.title ?? name);
}
