/**
 * The dialog that adds a voice of one's own: a sample, a name, and the consent of the speaker.
 */
import { h, fill } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { form } from "../state/form.js";
import { library } from "../state/library.js";
import { announce } from "./announce.js";
import { acceptFiles } from "./file-drop.js";
import { icon } from "./icons.js";
import { asProblem, details, problemBox } from "./problem.js";
import { similarityBadge, voiceReport } from "./voice-report.js";

export function openVoiceClone() {
  const dialog = new CloneDialog();
  document.body.append(dialog.element);
  dialog.element.showModal();
}

class CloneDialog {
  /** @type {File|null} */
  #file = null;
  #busy = false;
  #input = h("input", { type: "file", id: "voice-file", class: "sr-only", accept: "audio/*,video/*" });
  #chosen = h("span", { t: "clone.drop" });
  #drop = h("label", { class: "drop", for: "voice-file" }, this.#input, icon("audio"), this.#chosen);
  #name = h("input", { type: "text", id: "voice-name", class: "input", maxlength: 80, autocomplete: "off" });
  #consent = h("input", { type: "checkbox", id: "voice-consent" });
  #why = h("p", { class: "quiet", id: "clone-why" });
  #outcome = h("div", {});
  #submit = h("button", { type: "submit", class: "button button-primary", "aria-describedby": "clone-why", t: "clone.submit" });

  constructor() {
    this.element = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "clone-title" },
      h(
        "form",
        { onsubmit: (/** @type {Event} */ event) => void this.#send(event) },
        h(
          "div",
          { class: "dialog-head" },
          h("h2", { id: "clone-title", t: "clone.title" }),
          h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => this.element.close() }, icon("close")),
        ),
        h("p", { class: "quiet" }, h("span", { t: "clone.advice" }), " ", h("a", { href: "#/voices/new", t: "studio.record", onclick: () => this.element.close() })),
        this.#drop,
        h("label", { class: "field" }, h("span", { t: "clone.name" }), this.#name),
        h("label", { class: "tick", for: "voice-consent" }, this.#consent, h("span", { t: "clone.consent" })),
        this.#outcome,
        h("div", { class: "dialog-actions" }, this.#why, this.#submit),
      ),
    );
    this.element.addEventListener("close", () => this.element.remove());
    this.#consent.addEventListener("change", () => this.#update());
    acceptFiles(this.#drop, this.#input, (file) => this.#choose(file));
    this.#update();
  }

  /** @param {File} file */
  #choose(file) {
    this.#file = file;
    delete this.#chosen.dataset.i18n;
    this.#chosen.textContent = file.name;
    if (!this.#name.value) this.#name.value = file.name.replace(/\.[^.]+$/, "").slice(0, 80);
    fill(this.#outcome);
    this.#update();
  }

  /** Why the button cannot work yet. @returns {string|null} */
  #obstacle() {
    if (this.#busy) return "clone.checking";
    if (!this.#file) return "clone.need_file";
    if (!this.#consent.checked) return "clone.need_consent";
    return null;
  }

  #update() {
    const obstacle = this.#obstacle();
    this.#submit.setAttribute("aria-disabled", String(obstacle !== null));
    bindText(this.#why, obstacle ?? "clone.ready");
  }

  /** @param {Event} event */
  async #send(event) {
    event.preventDefault();
    if (this.#obstacle() || !this.#file) {
      (this.#file ? this.#consent : this.#input).focus();
      return;
    }
    this.#busy = true;
    fill(this.#outcome);
    this.#update();
    try {
      const voice = await library.addVoice(this.#file, this.#name.value.trim());
      form.chooseVoice(voice.voice_id);
      announce(t("clone.done", { name: voice.name }));
      this.#showDone(voice);
    } catch (error) {
      fill(this.#outcome, problemBox(asProblem(error)));
    } finally {
      this.#busy = false;
      this.#update();
    }
  }

  /** What was found in the recording stays to be read. @param {import("../types.js").VoiceCloned} voice */
  #showDone(voice) {
    fill(
      this.#outcome,
      h(
        "div",
        { class: "notice notice-draft", role: "status" },
        icon("info"),
        h(
          "div",
          { class: "notice-body" },
          h("p", { class: "notice-title", t: ["clone.done", { name: voice.name }] }),
          h("p", {}, h("span", { t: "voice.match" }), " ", similarityBadge(voice.similarity)),
          h("p", { t: "voice.match_note" }),
          voice.notice && details(h("p", { lang: "en" }, voice.notice)),
        ),
      ),
      voiceReport(voice.report),
    );
    for (const part of [this.#drop, this.#name.parentElement, this.#consent.parentElement]) part?.remove();
    const done = h("button", { type: "button", class: "button button-primary", t: "dialog.done", onclick: () => this.element.close() });
    this.#submit.replaceWith(done);
    this.#why.hidden = true;
    done.focus();
  }
}
