/**
 * The dialog of one voice of one's own: how near it comes, what was measured, and what may be changed.
 */
import { enrolVoice, getVoice, patchVoice } from "../api/endpoints.js";
import { h, fill } from "../lib/dom.js";
import { isChinese, t } from "../lib/i18n.js";
import { percent } from "../lib/format.js";
import { library } from "../state/library.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";
import { similarityBadge, voiceReport } from "./voice-report.js";

/** @typedef {import("../types.js").Voice} Voice */

/** While the match is being refined; its figures change about this often. */
const LOOK_EVERY_MS = 3000;

/**
 * @param {Voice} voice
 * @param {() => Promise<boolean>} remove  asks, deletes, and says whether that was wanted
 */
export function openVoiceDetails(voice, remove) {
  const dialog = new VoiceDetails(voice, remove);
  document.body.append(dialog.element);
  dialog.element.showModal();
}

class VoiceDetails {
  #voice;
  #body = h("div", { class: "voice-details" });
  #match = h("div", { class: "match", role: "status" });
  #problem = h("div", {});
  #name = h("input", { type: "text", id: "details-name", class: "input", maxlength: 100, autocomplete: "off" });
  #note = h("textarea", { id: "details-note", class: "input", rows: 2, maxlength: 500 });
  /** What the body shows: it is built anew only when that changes, as its players may be playing. */
  #built = "";
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {Voice} voice @param {() => Promise<boolean>} remove */
  constructor(voice, remove) {
    this.#voice = voice;
    this.element = h(
      "dialog",
      { class: "dialog drawer", "aria-labelledby": "details-title" },
      h(
        "form",
        { onsubmit: (/** @type {Event} */ event) => void this.#save(event) },
        h(
          "div",
          { class: "dialog-head" },
          h("h2", { id: "details-title", t: "voice.title" }),
          h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => this.element.close() }, icon("close")),
        ),
        this.#match,
        this.#body,
        h("label", { class: "field", for: "details-name" }, h("span", { t: "clone.name" }), this.#name),
        h("label", { class: "field", for: "details-note" }, h("span", { t: "voice.note" }), this.#note),
        this.#problem,
        h(
          "div",
          { class: "dialog-actions" },
          h("button", {
            type: "button",
            class: "icon-button",
            tLabel: ["voices.delete", { name: voice.name }],
            onclick: async () => (await remove()) && this.element.close(),
          }, icon("trash")),
          h("button", { type: "button", class: "button", t: "voice.again", onclick: () => void this.#enrolAgain() }, icon("retry")),
          h("button", { type: "submit", class: "button button-primary", t: "voice.save" }),
        ),
      ),
    );
    this.#name.value = voice.name;
    this.#note.value = voice.note ?? "";
    this.element.addEventListener("close", () => {
      clearTimeout(this.#timer);
      this.element.remove();
    });
    this.#show();
    void this.#look();
  }

  /** Ask for the voice again, and go on while its match gets better. */
  async #look() {
    try {
      this.#voice = await getVoice(this.#voice.voice_id);
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
      return;
    }
    if (!this.element.isConnected) return;
    this.#show();
    library.putVoice(this.#voice);
    if (["fast", "refining"].includes(this.#voice.match.state)) this.#timer = setTimeout(() => void this.#look(), LOOK_EVERY_MS);
  }

  #show() {
    const { match, similarity, engines, report, consent, sample_url: sample, reference_url: reference } = this.#voice;
    fill(
      this.#match,
      h("div", { class: "match-head" }, h("strong", { t: "voice.match" }), similarityBadge(similarity)),
      h("p", { class: "quiet", t: "voice.match_note" }),
      h("p", {
        t: [`match.state_${match?.state ?? "none"}`, { percent: percent((match?.progress ?? 0) * 100) }],
      }),
      match?.reason && h("p", { lang: "en" }, match.reason),
    );
    const key = JSON.stringify([report, engines, sample, reference, consent?.given, document.documentElement.lang]);
    if (key === this.#built) return;
    this.#built = key;
    fill(
      this.#body,
      voiceReport(report ?? {}),
      engines?.length > 0 &&
        h(
          "ul",
          { class: "voice-engines", tLabel: "voice.engines" },
          ...engines.map((engine) =>
            h(
              "li",
              {},
              h("span", {}, isChinese() ? engine.label_zh : engine.label_en),
              h("span", { class: "quiet", t: engine.is_clone ? "voice.is_clone" : "voice.is_match" }),
              h("span", { class: `badge ${engine.ready ? "badge-ok" : "badge-idle"}`, t: engine.ready ? "engine.state_READY" : "engine.state_NOT_INSTALLED" }),
            ),
          ),
        ),
      reference && h("div", { class: "field" }, h("span", { class: "field-label", t: "voice.reference" }), player(reference)),
      sample && h("div", { class: "field" }, h("span", { class: "field-label", t: "voice.sample" }), player(sample)),
      h("p", { class: "quiet", t: consent?.given ? "voice.consent_given" : "voice.consent_missing" }),
    );
  }

  /** @param {Event} event */
  async #save(event) {
    event.preventDefault();
    try {
      const name = this.#name.value.trim();
      library.putVoice(await patchVoice(this.#voice.voice_id, { ...(name && { name }), note: this.#note.value }));
      announce(t("voice.saved"));
      this.element.close();
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  async #enrolAgain() {
    clearTimeout(this.#timer);
    fill(this.#problem, h("p", { class: "quiet", role: "status", t: "clone.checking" }));
    try {
      await enrolVoice(this.#voice.voice_id);
      fill(this.#problem);
      await this.#look();
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}

/** @param {string} address */
const player = (address) => h("audio", { controls: true, preload: "none", src: address });
