/**
 * All voices as cards: one's own first, then the built-in ones by language. Each can be heard at once.
 */
import { previewVoice } from "../api/endpoints.js";
import { fill, h } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { hasText, t } from "../lib/i18n.js";
import { displayName, library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { similarityBadge } from "../ui/voice-report.js";

/** @typedef {import("../types.js").Voice} Voice */

/** Built-in voices by language, in this order. */
const LANGUAGES = ["zh", "en", "ja"];

export class VoiceList {
  #lists = h("div", { class: "voice-lists" });
  #problem = h("div", {});
  #player = new Audio();
  /** The voice that is being fetched or played. @type {string|null} */
  #playing = null;
  #address = "";

  constructor() {
    this.element = h("div", {}, this.#problem, this.#lists);
    this.#player.addEventListener("ended", () => this.stop());
    this.render();
  }

  render() {
    const { voices } = library;
    if (!voices.length) return;
    const own = voices.filter((voice) => !voice.builtin);
    const focused = this.#lists.contains(document.activeElement) ? document.activeElement?.closest("[data-voice]")?.getAttribute("data-voice") : null;
    fill(
      this.#lists,
      section("voices.group_own", own.length ? own.map((voice) => this.#card(voice)) : [invitation()]),
      ...LANGUAGES.map((language) => {
        const found = voices.filter((voice) => voice.builtin && voice.language === language);
        return found.length > 0 && section(`voices.group_${language}`, found.map((voice) => this.#card(voice)), "voicepage.builtin");
      }),
    );
    if (focused) /** @type {HTMLElement|null} */ (this.#lists.querySelector(`[data-voice="${CSS.escape(focused)}"] a`))?.focus();
  }

  /** @param {Voice} voice */
  #card(voice) {
    const name = displayName(voice);
    return h(
      "li",
      { class: "voice-card", "data-voice": voice.voice_id },
      this.#playButton(voice),
      h(
        "a",
        { class: "voice-card-link", href: `#/voices/${voice.voice_id}` },
        h("span", { class: "voice-card-name" }, name),
        h(
          "span",
          { class: "voice-card-meta quiet" },
          voice.gender && hasText(`voices.${voice.gender}`) && h("span", { t: `voices.${voice.gender}` }),
          !voice.builtin && voice.created_at && h("span", {}, ago(voice.created_at)),
          similarityBadge(voice.similarity),
        ),
      ),
    );
  }

  /** @param {Voice} voice */
  #playButton(voice) {
    const isMine = this.#playing === voice.voice_id;
    const isLoading = isMine && !this.#address;
    return h(
      "button",
      {
        type: "button",
        class: "voice-card-play",
        "aria-busy": String(isLoading),
        tLabel: [isMine ? "voices.stop" : "voices.play", { name: displayName(voice) }],
        onclick: () => (this.#playing === voice.voice_id ? this.stop() : void this.#play(voice)),
      },
      isLoading ? h("span", { class: "spinner" }) : icon(isMine ? "stop" : "play"),
    );
  }

  /** @param {string|null} id */
  #redraw(id) {
    const voice = library.voice(id);
    const old = this.#lists.querySelector(`[data-voice="${CSS.escape(id ?? "")}"] .voice-card-play`);
    if (!voice || !old) return;
    const hadFocus = document.activeElement === old;
    const button = this.#playButton(voice);
    old.replaceWith(button);
    if (hadFocus) button.focus();
  }

  /** @param {Voice} voice */
  async #play(voice) {
    this.stop();
    fill(this.#problem);
    this.#playing = voice.voice_id;
    this.#redraw(voice.voice_id);
    announce(t("voices.preparing"));
    try {
      const wav = await previewVoice(voice.voice_id, {});
      if (this.#playing !== voice.voice_id) return;
      this.#address = URL.createObjectURL(wav);
      this.#player.src = this.#address;
      this.#redraw(voice.voice_id);
      await this.#player.play();
    } catch (error) {
      if (this.#playing !== voice.voice_id) return;
      this.stop();
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  stop() {
    const was = this.#playing;
    this.#player.pause();
    this.#playing = null;
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
    this.#redraw(was);
  }
}

/** @param {string} title  key @param {Node[]} cards @param {string} [note]  key */
const section = (title, cards, note) =>
  h("section", { class: "voice-group" }, h("h3", {}, h("span", { t: title }), note && h("span", { class: "quiet", t: note })), h("ul", { class: "voice-cards" }, ...cards));

function invitation() {
  return h(
    "li",
    { class: "empty" },
    icon("voices"),
    h("p", { t: "voicepage.none" }),
    h("p", { class: "quiet", t: "voices.own_empty" }),
    h("a", { class: "button", href: "#/voices/new", t: "voices.add" }, icon("plus")),
  );
}
