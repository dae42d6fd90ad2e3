/**
 * `<aio-voices>`: choose a voice by language, listen to it, add one's own.
 */
import { previewVoice } from "../api/endpoints.js";
import { h, fill } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { form } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { announce } from "./announce.js";
import { confirmLoss } from "./confirm.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";
import { openVoiceDetails } from "./voice-details.js";
import { similarityBadge } from "./voice-report.js";

/** @typedef {import("../types.js").Voice} Voice */

/** Tabs, in order; "own" holds the user's voices of every language. */
const GROUPS = ["zh", "en", "ja", "own"];

/** @param {Voice} voice */
const groupOf = (voice) => (voice.builtin ? voice.language : "own");

export class Voices extends HTMLElement {
  /** @type {string|null} */
  #group = null;
  #tabs = h("div", { class: "segments", role: "radiogroup", tLabel: "voices.language" });
  #list = h("div", { class: "voice-list", role: "radiogroup", tLabel: "voices.label" });
  #chosen = h("div", { class: "picker-line" });
  #problem = h("div", {});
  #player = new Audio();
  /** The voice that is being fetched or played. @type {string|null} */
  #playing = null;
  /** Blob address of the preview that is loaded. @type {string|null} */
  #loaded = null;

  connectedCallback() {
    this.classList.add("picker");
    fill(this, this.#tabs, this.#list, this.#chosen, this.#problem);
    this.#player.addEventListener("ended", () => this.#stop());
    library.addEventListener("voices", () => this.#render());
    form.addEventListener("change", (event) => {
      const changed = /** @type {CustomEvent<string[]>} */ (event).detail;
      if (!changed.some((name) => ["voiceId", "voiceIdB", "twoSpeakers", "speaking"].includes(name))) return;
      const voice = library.voice(form.chosenVoice);
      const group = voice && groupOf(voice);
      if (group && group !== this.#group) {
        this.#group = group;
        this.#render();
      } else this.#mark();
    });
    document.addEventListener("localechange", () => this.#render());
    this.#render();
  }

  /** Bring the keyboard here. */
  focus() {
    (this.#list.querySelector("input:checked") ?? this.#list.querySelector("input") ?? this.#tabs.querySelector("input"))
      ?.dispatchEvent(new Event("refocus"));
  }

  #render() {
    const selected = library.voice(form.chosenVoice);
    this.#group ??= selected ? groupOf(selected) : null;
    const group = this.#group ?? "zh";
    fill(this.#tabs, ...GROUPS.map((name) => this.#tab(name, group)));
    const rows = library.voices.filter((voice) => groupOf(voice) === group).map((voice) => this.#row(voice));
    fill(
      this.#list,
      ...rows,
      // Nothing is said before the voices have come.
      rows.length === 0 && library.voices.length > 0 && h("p", { class: "quiet", t: group === "own" ? "voices.own_empty" : "voices.none" }),
      group === "own" &&
        h("a", { class: "button button-block", href: "#/voices/new/studio", t: "voices.add" }, icon("plus")),
    );
    this.#showChosen();
  }

  /** The chosen voice, also while another language's are listed, and what the voice doctor found. */
  #showChosen() {
    const voice = library.voice(form.chosenVoice);
    fill(this.#chosen, voice && h("span", { class: "picker-name" }, displayName(voice)), voice && voiceBadge(voice));
  }

  /** @param {string} name @param {string} group */
  #tab(name, group) {
    const input = h("input", {
      type: "radio",
      name: "voice-group",
      class: "sr-only",
      value: name,
      checked: name === group,
      onchange: () => {
        this.#group = name;
        this.#render();
        this.#tabs.querySelector("input:checked")?.dispatchEvent(new Event("refocus"));
      },
    });
    input.addEventListener("refocus", () => input.focus());
    return h("label", { class: "segment" }, input, h("span", { t: `voices.group_${name}` }));
  }

  /** @param {Voice} voice */
  #row(voice) {
    const name = displayName(voice);
    const input = h("input", {
      type: "radio",
      name: "voice",
      class: "sr-only",
      value: voice.voice_id,
      checked: voice.voice_id === form.chosenVoice,
      onchange: () => form.chooseVoice(voice.voice_id),
    });
    input.addEventListener("refocus", () => input.focus());
    return h(
      "div",
      { class: "voice-row", "data-voice": voice.voice_id },
      h(
        "label",
        { class: "voice-choice" },
        input,
        h("span", { class: "voice-dot" }),
        h("span", { class: "voice-name" }, name),
        voice.builtin && voice.gender && h("span", { class: "quiet", t: `voices.${voice.gender}` }),
        similarityBadge(voice.similarity ?? null),
      ),
      !voice.builtin &&
        h(
          "button",
          { type: "button", class: "icon-button", tLabel: ["voices.details", { name }], onclick: () => openVoiceDetails(voice, () => this.#remove(voice)) },
          icon("info"),
        ),
      this.#playButton(voice),
    );
  }

  /** @param {Voice} voice */
  #playButton(voice) {
    const name = displayName(voice);
    const mine = this.#playing === voice.voice_id;
    const loading = mine && this.#loaded === null;
    return h(
      "button",
      {
        type: "button",
        class: "icon-button voice-play",
        "aria-busy": String(loading),
        tLabel: [mine ? "voices.stop" : "voices.play", { name }],
        onclick: () => (this.#playing === voice.voice_id ? this.#stop() : void this.#play(voice)),
      },
      loading ? h("span", { class: "spinner" }) : icon(mine ? "stop" : "play"),
    );
  }

  /** Show the selection without rebuilding the rows: the keyboard stays where it is. */
  #mark() {
    this.#showChosen();
    for (const input of this.#list.querySelectorAll("input")) input.checked = input.value === form.chosenVoice;
  }

  /** @param {string|null} id */
  #redrawPlay(id) {
    const voice = library.voice(id);
    const old = this.#list.querySelector(`[data-voice="${CSS.escape(id ?? "")}"] .voice-play`);
    if (!voice || !old) return;
    const focused = document.activeElement === old;
    const button = this.#playButton(voice);
    old.replaceWith(button);
    if (focused) button.focus();
  }

  /** @param {Voice} voice */
  async #play(voice) {
    this.#stop();
    fill(this.#problem);
    this.#playing = voice.voice_id;
    this.#redrawPlay(voice.voice_id);
    announce(t("voices.preparing"));
    try {
      const { speed, pitch } = form.value;
      const wav = await previewVoice(voice.voice_id, { speed, pitch });
      if (this.#playing !== voice.voice_id) return;
      this.#loaded = URL.createObjectURL(wav);
      this.#player.src = this.#loaded;
      this.#redrawPlay(voice.voice_id);
      await this.#player.play();
    } catch (error) {
      if (this.#playing !== voice.voice_id) return;
      this.#stop();
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  #stop() {
    const was = this.#playing;
    this.#player.pause();
    this.#playing = null;
    if (this.#loaded) URL.revokeObjectURL(this.#loaded);
    this.#loaded = null;
    this.#redrawPlay(was);
  }

  /** Whether it was decided to delete it. @param {Voice} voice */
  async #remove(voice) {
    const sure = await confirmLoss({
      title: "voices.delete_title",
      body: ["voices.delete_body", { name: displayName(voice) }],
      action: "confirm.delete",
    });
    if (!sure) return false;
    try {
      await library.removeVoice(voice.voice_id);
      if (form.value.voiceId === voice.voice_id) form.set({ voiceId: defaultVoice()?.voice_id ?? null });
      if (form.value.voiceIdB === voice.voice_id) form.set({ voiceIdB: null });
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
    return true;
  }
}

/** @param {Voice} voice */
function voiceBadge(voice) {
  if (voice.builtin) return h("span", { class: "badge badge-ok", t: "studio.voice_builtin" }, icon("check"));
  const n = (voice.report.findings ?? []).filter((finding) => finding.severity === "warning").length;
  return h("span", { class: `badge ${n ? "badge-fallback" : "badge-ok"}`, t: n ? ["studio.voice_doubts", { n }] : "studio.voice_good" }, icon(n ? "warning" : "check"));
}

/** What a new user starts with: the default of the page's language, else any default. */
export function defaultVoice() {
  const language = document.documentElement.lang.slice(0, 2);
  const builtin = library.voices.filter((voice) => voice.builtin);
  return (
    builtin.find((voice) => voice.language === language && voice.default) ??
    builtin.find((voice) => voice.language === language) ??
    builtin.find((voice) => voice.default) ??
    library.voices[0]
  );
}
