/**
 * One voice: how near it comes, its recording, a sentence to hear, and what may be changed.
 */
import { enrolVoice, getVoice, patchVoice } from "../api/endpoints.js";
import { fill, h } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { bindText, hasText, isChinese, locale, t } from "../lib/i18n.js";
import { go } from "../shell/router.js";
import { form } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { similarityBadge } from "../ui/voice-report.js";
import { removeVoice } from "./remove-voice.js";
import { VoiceListen } from "./voice-listen.js";
import { VoiceRecording } from "./voice-recording.js";

/** @typedef {import("../types.js").Voice} Voice */

/** While the match is being refined its figures change about this often. */
const LOOK_EVERY_MS = 3000;

export class VoicePage {
  #id;
  /** @type {Voice|null} */
  #voice = null;
  #title = h("h2", { class: "screen-title", tabindex: "-1" });
  #badges = h("div", { class: "voice-badges" });
  #actions = h("div", { class: "screen-actions" });
  #problem = h("div", {});
  #body = h("div", { class: "voice-page" });
  #match = h("section", { class: "card voice-match", "aria-labelledby": "match-title" });
  #recording = new VoiceRecording();
  /** @type {VoiceListen|null} */
  #listen = null;
  /** @type {HTMLElement|null} */
  #about = null;
  #consent = h("div", {});
  #busy = false;
  #isNew;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {string} id @param {boolean} isNew  it was added a moment ago */
  constructor(id, isNew) {
    this.#id = id;
    this.#isNew = isNew;
    this.element = h(
      "div",
      { class: "voice-detail" },
      h("a", { class: "back-link", href: "#/voices", t: "voicepage.back" }, icon("back")),
      h("header", { class: "screen-head" }, h("div", { class: "screen-heading" }, this.#title, this.#badges), this.#actions),
      this.#problem,
      this.#body,
    );
    const known = library.voice(id);
    if (known) this.#show(known);
    else bindText(this.#title, "voice.title");
    void this.#look();
  }

  close() {
    clearTimeout(this.#timer);
    this.#listen?.close();
    this.#recording.close();
  }

  /** Words that depend on the language. */
  localeChanged() {
    if (this.#voice) this.#show(this.#voice);
  }

  /** Ask for the voice again, and go on while its match gets better. */
  async #look() {
    try {
      const voice = await getVoice(this.#id);
      if (!this.element.isConnected) return;
      this.#show(voice);
      library.putVoice(voice);
      if (["fast", "refining"].includes(voice.match.state)) this.#timer = setTimeout(() => void this.#look(), LOOK_EVERY_MS);
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  /** @param {Voice} voice */
  #show(voice) {
    const first = this.#voice === null;
    this.#voice = voice;
    this.#title.textContent = displayName(voice);
    delete this.#title.dataset.i18n;
    fill(
      this.#badges,
      hasText(`language.${voice.language}`) && voice.language !== "auto" && h("span", { class: "badge badge-idle", t: `language.${voice.language}` }),
      voice.gender && hasText(`voices.${voice.gender}`) && h("span", { class: "badge badge-idle", t: `voices.${voice.gender}` }),
      similarityBadge(voice.similarity),
    );
    if (first) this.#build(voice);
    this.#listen?.update(voice);
    if (voice.builtin) return;
    this.#recording.update(voice);
    fill(this.#consent, consentLine(voice));
    this.#showMatch(voice);
  }

  /** Once: what holds the keyboard is not rebuilt. @param {Voice} voice */
  #build(voice) {
    this.#listen = new VoiceListen(voice);
    fill(
      this.#actions,
      h("button", { type: "button", class: "button button-primary", t: "voicepage.use", onclick: () => this.#use() }, icon("studio")),
      !voice.builtin && h("button", { type: "button", class: "button button-quiet", t: "job.delete", onclick: () => void this.#remove() }, icon("trash")),
    );
    if (!voice.builtin) this.#about = this.#aboutCard(voice);
    fill(
      this.#body,
      this.#isNew && h("div", { class: "notice notice-ok", role: "status" }, icon("check"), h("div", { class: "notice-body" }, h("p", { class: "notice-title", t: ["voicepage.added", { name: voice.name }] }), h("p", { t: "voicepage.added_next" }))),
      h("div", { class: "voice-column" }, !voice.builtin && this.#recording.element, this.#listen.element, this.#about),
      !voice.builtin && h("div", { class: "voice-column" }, this.#match),
    );
  }

  /** @param {Voice} voice */
  #showMatch({ similarity, match, engines, notice }) {
    const words = notice && !isChinese() && !similarity ? notice : null;
    const key = JSON.stringify([similarity, match, engines, notice, locale(), this.#busy]);
    if (this.#match.dataset.built === key) return;
    this.#match.dataset.built = key;
    const refining = match?.state === "refining";
    const again = h("button", { type: "button", class: "button", "aria-disabled": String(this.#busy), onclick: () => void this.#enrolAgain() }, this.#busy ? h("span", { class: "spinner" }) : icon("retry"), h("span", { t: this.#busy ? "clone.checking" : "voicepage.again" }));
    const hadFocus = this.#match.contains(document.activeElement);
    fill(
      this.#match,
      h("div", { class: "match-head" }, h("h3", { id: "match-title", t: "voice.match" }), similarityBadge(similarity)),
      similarity && h("p", { t: ["similarity.score", { score: similarity.score.toFixed(2) }] }),
      h("p", { class: "quiet", t: "voice.match_note" }),
      h("p", { role: "status", t: [`match.state_${match?.state ?? "none"}`, { percent: percent((match?.progress ?? 0) * 100) }] }),
      refining && progressBar(match.progress ?? 0),
      match?.reason && h("p", { class: "quiet", lang: "en" }, match.reason),
      words && h("p", { class: "quiet", lang: "en" }, words),
      h("h4", { t: "voice.engines" }),
      h(
        "ul",
        { class: "voice-engines" },
        ...(engines ?? []).map((engine) =>
          h(
            "li",
            {},
            h("span", {}, isChinese() ? engine.label_zh : engine.label_en),
            h("span", { class: "quiet", t: engine.is_clone ? "voice.is_clone" : "voice.is_match" }),
            h("span", { class: `badge ${engine.ready ? "badge-ok" : "badge-idle"}`, t: engine.ready ? "engine.state_READY" : "engine.state_NOT_INSTALLED" }),
          ),
        ),
      ),
      h("p", { class: "quiet", t: "voicepage.again_note" }),
      h("div", { class: "card-actions" }, again),
    );
    if (hadFocus) again.focus();
  }

  /** @param {Voice} voice */
  #aboutCard(voice) {
    const name = h("input", { type: "text", id: "about-name", class: "input", maxlength: 100, autocomplete: "off" });
    const note = h("textarea", { id: "about-note", class: "input", rows: 2, maxlength: 500 });
    const language = h("select", { id: "about-language", class: "input" }, ...["auto", "zh", "en", "ja"].map((value) => h("option", { value, t: `language.${value}` })));
    const gender = h("select", { id: "about-gender", class: "input" }, ...["unknown", "female", "male"].map((value) => h("option", { value, t: value === "unknown" ? "voicepage.gender_unknown" : `voices.${value}` })));
    name.value = voice.name;
    note.value = voice.note ?? "";
    language.value = voice.language;
    gender.value = voice.gender ?? "unknown";
    const save = async (/** @type {Event} */ event) => {
      event.preventDefault();
      fill(this.#problem);
      try {
        const changes = { ...(name.value.trim() && { name: name.value.trim() }), note: note.value, language: language.value, gender: gender.value };
        const saved = await patchVoice(this.#id, changes);
        name.value = saved.name;
        library.putVoice(saved);
        this.#show(saved);
        announce(t("voice.saved"));
        bindText(state, "voice.saved");
      } catch (error) {
        fill(this.#problem, problemBox(asProblem(error)));
      }
    };
    const state = h("p", { class: "quiet" });
    const field = (/** @type {string} */ id, /** @type {string} */ key, /** @type {HTMLElement} */ control) => h("div", { class: "field" }, h("label", { class: "field-label", for: id, t: key }), control);
    return h(
      "form",
      { class: "card voice-about", "aria-labelledby": "about-voice-title", onsubmit: (/** @type {Event} */ event) => void save(event), oninput: () => fill(state) },
      h("h3", { id: "about-voice-title", t: "voicepage.about" }),
      field("about-name", "clone.name", name),
      h("div", { class: "field-pair" }, field("about-language", "voicepage.language", language), field("about-gender", "voicepage.gender", gender)),
      field("about-note", "voice.note", note),
      this.#consent,
      h("div", { class: "card-actions" }, h("button", { type: "submit", class: "button", t: "voice.save" }), state),
    );
  }

  #use() {
    form.chooseVoice(this.#id);
    announce(t("voicepage.used"));
    go("#/");
  }

  async #remove() {
    if (!this.#voice) return;
    try {
      if (await removeVoice(this.#voice)) go("#/voices");
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  async #enrolAgain() {
    if (this.#busy || !this.#voice) return;
    clearTimeout(this.#timer);
    this.#busy = true;
    fill(this.#problem);
    this.#showMatch(this.#voice);
    try {
      await enrolVoice(this.#id);
      announce(t("voicepage.again_done"));
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#busy = false;
      if (this.element.isConnected) await this.#look();
    }
  }
}

/** What was declared, and when. @param {Voice} voice */
function consentLine({ consent }) {
  const given = consent?.given === true;
  const when = given ? new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(consent.at)) : "";
  return h(
    "p",
    { class: "consent-line" },
    icon(given ? "check" : "warning"),
    h("span", { t: given ? ["voicepage.consent_at", { when }] : "voice.consent_missing" }),
  );
}

/** @param {number} share  0..1 */
function progressBar(share) {
  const bar = h("span", { class: "bar-fill" });
  bar.style.transform = `scaleX(${share})`;
  return h("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100), tLabel: "voice.match" }, bar);
}
