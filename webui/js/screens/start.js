/**
 * `#/start`, the first visit: language, where things are kept, whether the computer is fit, and a video at once.
 */
import { finishFirstRun, getSystem } from "../api/endpoints.js";
import { h, fill } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { locale, LOCALES, useLocale } from "../lib/i18n.js";
import { go } from "../shell/router.js";
import { DemoVideo } from "../start/demo-video.js";
import { Fitness } from "../start/fitness.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";

const GB = 1e9;
/** A few models and some videos; below it a person should know. */
const SCARCE_BYTES = 10 * GB;

/** What each language is called in itself. @type {Record<string, string>} */
const NAMES = { "zh-CN": "中文", en: "English" };

/** @param {number} n @param {string} title  key @param {...import("../lib/dom.js").Child} parts */
const step = (n, title, ...parts) =>
  h(
    "section",
    { class: "card start-step", "aria-labelledby": `start-${n}` },
    h("h3", { id: `start-${n}`, class: "start-title" }, h("span", { class: "start-number", "aria-hidden": "true" }, n), h("span", { t: title })),
    ...parts,
  );

export default class StartScreen extends HTMLElement {
  static css = "/static/css/start.css";

  #place = h("div", { class: "start-place" });
  #demo = new DemoVideo();
  #fitness = new Fitness();
  #onLocale = () => this.#translated();
  #languages = LOCALES.map((name) =>
    h("input", { type: "radio", name: "start-language", class: "sr-only", value: name, onchange: () => void this.#speak(name) }),
  );

  connectedCallback() {
    this.classList.add("screen", "start");
    fill(
      this,
      h(
        "header",
        { class: "screen-head" },
        h("div", { class: "screen-heading" }, h("h2", { class: "screen-title", tabindex: "-1", t: "start.title" }), h("p", { class: "quiet", t: "start.intro" })),
        h("button", { type: "button", class: "button", t: "start.skip", onclick: () => void this.#leave() }),
      ),
      h(
        "div",
        { class: "start-grid" },
        h(
          "div",
          { class: "start-side" },
          step(
            1,
            "start.language",
            h(
              "div",
              { class: "segments", role: "radiogroup", tLabel: "start.language" },
              ...LOCALES.map((name, n) => h("label", { class: "segment" }, this.#languages[n], h("span", { lang: name }, NAMES[name]))),
            ),
          ),
          step(2, "start.folder", this.#place),
          step(3, "start.check", this.#fitness.element),
        ),
        step(4, "start.demo", this.#demo.element),
      ),
    );
    document.addEventListener("localechange", this.#onLocale);
    this.#translated();
    void this.#look();
    void this.#fitness.run();
    this.#demo.onDone = () => void this.#leave();
  }

  disconnectedCallback() {
    document.removeEventListener("localechange", this.#onLocale);
    this.#demo.stop();
  }

  #translated() {
    for (const input of this.#languages) input.checked = input.value === locale();
    this.#fitness.draw();
  }

  /** @param {import("../lib/i18n.js").Locale} name */
  async #speak(name) {
    try {
      await useLocale(name, { remember: true });
    } catch (error) {
      asProblem(error);
      this.#translated();
    }
  }

  async #look() {
    try {
      const { data } = await getSystem();
      if (!data) return;
      const isScarce = data.free_bytes < SCARCE_BYTES;
      const free = number(Math.round((data.free_bytes / GB) * 10) / 10);
      fill(
        this.#place,
        data.path && h("p", { class: "start-path" }, h("code", {}, data.path)),
        h("p", { class: `badge ${isScarce ? "badge-fallback" : "badge-ok"}`, t: ["start.free", { n: free }] }, icon(isScarce ? "warning" : "check")),
        h("p", { class: "quiet", t: isScarce ? "start.folder_scarce" : "start.folder_hint" }),
      );
    } catch (error) {
      fill(this.#place, problemBox(asProblem(error)));
    }
  }

  /** From now on the page opens in the Studio. */
  async #leave() {
    try {
      await finishFirstRun();
    } catch (error) {
      asProblem(error);
    }
    go("#/");
  }
}
