/**
 * `#/voices`, `#/voices/new` and `#/voices/<id>`: all voices, a new one, and one of them. `#/voices/new/studio`: who
 * comes from the Studio has chosen the new one by adding it.
 */
import { fill, h } from "../lib/dom.js";
import { go, route } from "../shell/router.js";
import { form } from "../state/form.js";
import { library } from "../state/library.js";
import { icon } from "../ui/icons.js";
import { AddVoice } from "../voices/add-voice.js";
import { VoiceList } from "../voices/voice-list.js";
import { VoicePage } from "../voices/voice-page.js";

export default class VoicesScreen extends HTMLElement {
  static css = "/static/css/voices.css";
  #list = new VoiceList();
  #overview = h(
    "div",
    {},
    h(
      "header",
      { class: "screen-head" },
      h("div", { class: "screen-heading" }, h("h2", { class: "screen-title", tabindex: "-1", t: "voicepage.title" }), h("p", { class: "quiet", t: "voicepage.intro" })),
      h("div", { class: "screen-actions" }, h("a", { class: "button button-primary", href: "#/voices/new", t: "voices.add" }, icon("plus"))),
    ),
    this.#list.element,
  );
  /** @type {AddVoice|VoicePage|null} */
  #open = null;
  /** The voice that was just added: its page says so once. */
  #added = "";
  #onVoices = () => this.#list.render();
  #onLocale = () => {
    this.#list.render();
    if (this.#open instanceof VoicePage) this.#open.localeChanged();
  };

  connectedCallback() {
    this.classList.add("screen", "voices-screen");
    library.addEventListener("voices", this.#onVoices);
    document.addEventListener("localechange", this.#onLocale);
    this.#show(...route().params);
  }

  disconnectedCallback() {
    library.removeEventListener("voices", this.#onVoices);
    document.removeEventListener("localechange", this.#onLocale);
    this.#list.stop();
    this.#open?.close();
  }

  /** @param {string[]} params */
  routeChanged(params) {
    this.#show(...params);
    scrollTo({ top: 0 });
    /** @type {HTMLElement|null} */ (this.querySelector("h2[tabindex]"))?.focus({ preventScroll: true });
  }

  /** @param {string} [id]  "" for all, "new", or a voice @param {string} [from]  "studio" */
  #show(id = "", from = "") {
    this.#list.stop();
    this.#open?.close();
    this.#open = null;
    if (!id) {
      fill(this, this.#overview);
      return;
    }
    if (id === "new") {
      const fromStudio = from === "studio";
      const add = new AddVoice((voiceId) => {
        this.#added = voiceId;
        if (fromStudio) form.chooseVoice(voiceId);
        go(`#/voices/${voiceId}`);
      });
      this.#open = add;
      fill(
        this,
        h("a", { class: "back-link", href: fromStudio ? "#/" : "#/voices", t: fromStudio ? "nav.studio" : "voicepage.back" }, icon("back")),
        h("header", { class: "screen-head" }, h("h2", { class: "screen-title", tabindex: "-1", t: "clone.title" })),
        add.element,
      );
      return;
    }
    const page = new VoicePage(id, this.#added === id);
    this.#added = "";
    this.#open = page;
    fill(this, page.element);
  }
}
