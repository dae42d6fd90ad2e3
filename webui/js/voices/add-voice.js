/**
 * Adding a voice: recorded here or from a file, a name, its language, and the consent of the speaker.
 */
import { addVoice } from "../api/voices.js";
import { fill, h } from "../lib/dom.js";
import { bindText, isChinese, t } from "../lib/i18n.js";
import { library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { acceptFiles } from "../ui/file-drop.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { RecordPanel } from "./record-panel.js";
import { MIN_SECONDS, recordingObstacle } from "./recorder.js";
import { SoundFile } from "./sound-file.js";
import { dropTake, keepTake, keptTake } from "./take-store.js";

/** Languages of a speaker: the service finds out with "auto". */
const LANGUAGES = ["auto", "zh", "en", "ja"];

export class AddVoice {
  /** @type {File|null} */
  #file = null;
  #busy = false;
  #named = false;
  #isClosed = false;
  /** The recording as this browser keeps it. @type {import("./take-store.js").Take|null} */
  #take = null;
  #done;
  #sound = new SoundFile();
  // Before the recorder, which asks for it at once.
  #language = h(
    "select",
    { id: "new-voice-language", class: "input", onchange: () => this.#record.showText() },
    ...LANGUAGES.map((name) => h("option", { value: name, t: `language.${name}` })),
  );
  #record = new RecordPanel((file) => void this.#recorded(file), () => this.#spoken());
  #input = h("input", { type: "file", id: "new-voice-file", class: "sr-only", accept: "audio/*,video/*" });
  #drop = h("label", { class: "drop", for: "new-voice-file" }, this.#input, icon("upload"), h("span", { t: "clone.drop" }));
  #source = h("div", { class: "voice-source" });
  #kept = h(
    "p",
    { class: "voice-kept quiet", hidden: true },
    h("span", { t: "voicepage.kept" }),
    " ",
    h("button", { type: "button", class: "link-button", t: "voicepage.discard", onclick: () => void this.#discard() }),
  );
  #name = h("input", { type: "text", id: "new-voice-name", class: "input", maxlength: 100, autocomplete: "off", oninput: () => (this.#named = true) });
  #consent = h("input", { type: "checkbox", id: "new-voice-consent" });
  #why = h("p", { class: "quiet", id: "new-voice-why" });
  #problem = h("div", {});
  #submit = h("button", { type: "submit", class: "button button-primary", "aria-describedby": "new-voice-why", t: "clone.submit" });

  /** @param {(voiceId: string) => void} done */
  constructor(done) {
    this.#done = done;
    const recordsHere = recordingObstacle() === null;
    this.element = h(
      "form",
      { class: "add-voice", onsubmit: (/** @type {Event} */ event) => void this.#send(event) },
      h(
        "section",
        { class: "card add-voice-sound", "aria-labelledby": "sound-title" },
        h("h3", { id: "sound-title", t: "voicepage.step_sound" }),
        this.#sources(recordsHere ? "record" : "upload"),
        this.#source,
        this.#sound.element,
        this.#kept,
      ),
      h(
        "section",
        { class: "card add-voice-about", "aria-labelledby": "about-title" },
        h("h3", { id: "about-title", t: "voicepage.step_about" }),
        h("div", { class: "field" }, h("label", { class: "field-label", for: "new-voice-name", t: "clone.name" }), this.#name),
        h("div", { class: "field" }, h("label", { class: "field-label", for: "new-voice-language", t: "voicepage.language" }), this.#language),
        h("label", { class: "tick", for: "new-voice-consent" }, this.#consent, h("span", { t: "clone.consent" })),
        h("p", { class: "quiet", t: "voicepage.consent_why" }),
        this.#problem,
        h("div", { class: "add-voice-send" }, this.#submit, this.#why),
      ),
      h(
        "section",
        { class: "card advice-card", "aria-labelledby": "advice-title" },
        h("h3", { id: "advice-title", t: "voicepage.advice" }),
        h("ul", { class: "advice" }, ...["voicepage.advice_length", "voicepage.advice_room", "voicepage.advice_one", "voicepage.advice_calm"].map((key) => h("li", {}, icon("check"), h("span", { t: key })))),
      ),
    );
    this.#consent.addEventListener("change", () => this.#update());
    acceptFiles(this.element, this.#input, (file) => this.#choose(file, false));
    this.#show(recordsHere ? "record" : "upload");
    this.#update();
    void this.#restore();
  }

  /** Give the microphone back; what was recorded so far is kept for the next time. */
  close() {
    this.#isClosed = true;
    this.#record.stop();
    this.#sound.close();
  }

  /** What was recorded before a reload or on an earlier visit. */
  async #restore() {
    const take = await keptTake();
    if (!take || this.#file || this.#isClosed) return;
    this.#take = take;
    this.#choose(take.file, true);
  }

  /** @param {File} file */
  async #recorded(file) {
    if (!this.#isClosed) this.#choose(file, true);
    this.#take = await keepTake(file);
    this.#update();
  }

  async #discard() {
    if (!this.#take || this.#busy) return;
    await dropTake(this.#take);
    this.#take = null;
    this.#file = null;
    this.#sound.clear();
    this.#update();
    announce(t("voicepage.discarded"));
    /** @type {HTMLElement|null} */ (this.#source.querySelector("button, input"))?.focus();
  }

  /** The language that the text to read is in. */
  #spoken() {
    const chosen = this.#language.value;
    return chosen === "auto" ? (isChinese() ? "zh" : "en") : chosen;
  }

  /** @param {string} first */
  #sources(first) {
    const choices = [["record", "voicepage.by_recording"], ["upload", "voicepage.by_file"]];
    return h(
      "div",
      { class: "segments", role: "radiogroup", tLabel: "voicepage.step_sound" },
      ...choices.map(([value, key]) =>
        h(
          "label",
          { class: "segment" },
          h("input", { type: "radio", name: "voice-source", class: "sr-only", value, checked: value === first, onchange: () => this.#show(value) }),
          h("span", {}, icon(value === "record" ? "voices" : "upload"), h("span", { t: key })),
        ),
      ),
    );
  }

  /** @param {string} source */
  #show(source) {
    if (source !== "record") this.#record.close();
    fill(this.#source, source === "record" ? this.#record.element : this.#drop);
  }

  /** @param {File} file @param {boolean} recorded */
  #choose(file, recorded) {
    this.#file = file;
    fill(this.#problem);
    if (!this.#named) this.#name.value = recorded ? t("voicepage.my_voice") : file.name.replace(/\.[^.]+$/, "").slice(0, 100);
    this.#update();
    void this.#sound.show(file).then(() => this.#update());
  }

  /** Why the button cannot work yet. @returns {string|null} */
  #obstacle() {
    if (this.#busy) return "clone.checking";
    if (!this.#file) return "clone.need_file";
    if (this.#sound.seconds !== null && this.#sound.seconds < MIN_SECONDS) return "voicepage.too_short";
    if (!this.#consent.checked) return "clone.need_consent";
    return null;
  }

  #update() {
    const obstacle = this.#obstacle();
    this.#kept.hidden = this.#take === null || this.#take.file !== this.#file;
    this.#submit.setAttribute("aria-disabled", String(obstacle !== null));
    bindText(this.#why, obstacle ?? "clone.ready");
  }

  /** @param {Event} event */
  async #send(event) {
    event.preventDefault();
    if (this.#obstacle() || !this.#file) {
      if (!this.#busy && this.#file) this.#consent.focus();
      return;
    }
    this.#busy = true;
    fill(this.#problem);
    this.#update();
    announce(t("clone.checking"));
    try {
      const voice = await addVoice(this.#file, { name: this.#name.value.trim(), language: this.#language.value });
      if (this.#take?.file === this.#file) await dropTake(this.#take);
      await library.loadVoices();
      announce(t("voicepage.added", { name: voice.name }));
      this.#done(voice.voice_id);
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#busy = false;
      this.#update();
    }
  }
}
