/**
 * Portraits, voices and engines as the service lists them. Fires `avatars`, `voices`, `engines`.
 */
import * as api from "../api/endpoints.js";
import { isChinese } from "../lib/i18n.js";

/** @typedef {import("../types.js").Avatar} Avatar */
/** @typedef {import("../types.js").Voice} Voice */
/** @typedef {import("../types.js").Engine} Engine */

class Library extends EventTarget {
  /** @type {Avatar[]} */
  avatars = [];
  /** @type {Voice[]} */
  voices = [];
  /** @type {Engine[]} */
  engines = [];

  async loadAvatars() {
    this.avatars = (await api.listAvatars()).data;
    this.#fire("avatars");
  }

  async loadVoices() {
    this.voices = (await api.listVoices()).data;
    this.#fire("voices");
  }

  async loadEngines() {
    this.engines = (await api.listEngines()).data;
    this.#fire("engines");
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

  /** @param {File} file @param {string} name */
  async addVoice(file, name) {
    const cloned = await api.cloneVoice(file, name);
    await this.loadVoices();
    return cloned;
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

export const library = new Library();

/**
 * The name of a portrait or voice in the page's language.
 * @param {{name: string, name_zh: string, name_en: string}} item
 */
export const displayName = (item) => (isChinese() ? item.name_zh : item.name_en) || item.name;

/** An engine's title; its bare name when the service lists it no more. @param {string} name */
export const engineTitle = (name) => library.engine(name)?.title ?? name;
