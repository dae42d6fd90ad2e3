/**
 * The doctor's findings: everything that videos need, tried out by the service; what can be mended by itself has a
 * button. Used by `#/system/doctor` and by the first run.
 */
import { fixWithDoctor, runDoctor } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { hasText, isChinese, locale, t } from "../lib/i18n.js";
import { engineTitle, library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { asProblem, details, problemBox } from "../ui/problem.js";
import { engineTrouble } from "../ui/wording.js";
import { keepFocus } from "./pane.js";

/** @typedef {import("../types-system.js").DoctorCheck} Check */
/** @typedef {{checks: Check[], checked_at: string}} Report */

/** What needs somebody comes first. */
const ORDER = ["error", "warning", "ok", "skipped"];
/** The look and the sign of each. @type {Record<string, [string, string]>} */
const LOOKS = { error: ["badge-error", "error"], warning: ["badge-fallback", "warning"], ok: ["badge-ok", "check"], skipped: ["badge-idle", "info"] };
/** Where one mends by hand what the doctor does not. @type {Record<string, string>} */
const PLACES = { open_models: "#/models", download_model: "#/models", free_space: "#/models", open_settings: "#/system/settings" };

export class DoctorList {
  #said = h("div", {});
  #summary = h("p", { class: "doctor-summary", role: "status" });
  #list = h("ul", { class: "doctor-list" });
  element = h("div", { class: "doctor" }, this.#said, this.#summary, this.#list);
  /** @type {Report|null} */
  #report = null;
  #isBusy = false;
  /** Checks that are being mended: that may take minutes. @type {Set<string>} */
  #mending = new Set();

  /** @returns {boolean} whether anything was found out yet */
  get hasRun() {
    return this.#report !== null;
  }

  /** Try everything out; resolves when the findings are shown. */
  async run() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    fill(this.#said);
    fill(this.#summary, h("span", { class: "spinner", "aria-hidden": "true" }), h("span", { t: "doctor.checking" }));
    try {
      this.#report = await runDoctor();
    } catch (error) {
      fill(this.#said, problemBox(asProblem(error)));
    } finally {
      this.#isBusy = false;
    }
    this.render();
  }

  /** Again in the language of now. */
  render() {
    if (this.#isBusy) return;
    const report = this.#report;
    if (!report) {
      fill(this.#summary);
      return;
    }
    const count = (/** @type {string} */ status) => report.checks.filter((check) => check.status === status).length;
    const bad = count("error");
    const doubtful = count("warning");
    const verdict = bad ? "doctor.verdict_bad" : doubtful ? "doctor.verdict_doubtful" : "doctor.verdict_good";
    const time = new Intl.DateTimeFormat(locale(), { timeStyle: "short" }).format(new Date(report.checked_at));
    fill(this.#summary, h("strong", { t: [verdict, { n: bad || doubtful }] }), " ", h("span", { class: "quiet", t: ["doctor.at", { time }] }));
    const sorted = [...report.checks].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
    keepFocus(this.#list, () => fill(this.#list, ...sorted.map((check) => this.#item(check))));
  }

  /** @param {Check} check */
  #item(check) {
    const [look, sign] = LOOKS[check.status] ?? LOOKS.skipped;
    const advice = adviceFor(check);
    // The service speaks English; in Chinese its words are for those who want them.
    const words = check.detail && (isChinese() ? details(h("p", { lang: "en" }, check.detail)) : h("p", { class: "quiet" }, check.detail));
    return h(
      "li",
      { class: "doctor-check", "data-status": check.status, "data-check": check.id },
      h("span", { class: `badge ${look}` }, icon(sign), h("span", { t: `doctor.status_${check.status}` })),
      h("div", { class: "doctor-words" }, h("p", { class: "doctor-title" }, titleOf(check)), words, advice && h("p", { t: advice })),
      this.#fix(check),
    );
  }

  /** A button where the service mends it, a link to where a person does. @param {Check} check */
  #fix({ id, fix, ...check }) {
    if (!fix) return null;
    const named = h("span", { class: "sr-only" }, `${titleOf({ id, fix, ...check })}: `);
    if (fix.automatic) {
      const isBusy = this.#mending.has(id);
      return h(
        "button",
        { type: "button", class: "button button-small", "data-act": id, "aria-disabled": String(isBusy), t: isBusy ? "doctor.mending" : `doctor.fix_${fix.action}`, onclick: () => void this.#mend(id) },
        isBusy && h("span", { class: "spinner", "aria-hidden": "true" }),
        named,
      );
    }
    const place = PLACES[fix.action];
    return place ? h("a", { class: "button button-small", href: place, t: `doctor.fix_${fix.action}` }, named) : null;
  }

  /** @param {string} id */
  async #mend(id) {
    if (this.#mending.has(id)) return;
    this.#mending.add(id);
    fill(this.#said);
    this.render();
    announce(t("doctor.mending"));
    try {
      await fixWithDoctor(id);
      announce(t("doctor.mended"));
    } catch (error) {
      fill(this.#said, problemBox(asProblem(error)));
      return;
    } finally {
      this.#mending.delete(id);
      this.render();
    }
    await this.run();
  }
}

/** The engine that a check is about. @param {string} id @returns {string|null} */
const engineOf = (id) => (id.startsWith("engine.") ? id.slice("engine.".length) : null);

/** What was looked at, in the language of the page. @param {Check} check */
export function titleOf(check) {
  const name = engineOf(check.id);
  if (name !== null) {
    const speech = library.speechEngines.find((engine) => engine.name === name);
    const title = speech ? (isChinese() ? speech.title_zh : speech.title_en) : engineTitle(name);
    return t("doctor.title_engine", { name: title });
  }
  const key = `doctor.title_${check.id}`;
  return hasText(key) ? t(key) : check.title;
}

/**
 * What a person can do about it.
 * @param {Check} check
 * @returns {import("../lib/dom.js").TextKey|null}
 */
function adviceFor({ id, status, fix }) {
  const name = engineOf(id);
  const engine = name === null ? undefined : library.engine(name);
  const trouble = engine && !engine.ready ? engineTrouble(engine) : null;
  if (trouble) return trouble.fix;
  if (name !== null) return fix ? "doctor.hint_engine" : null;
  const key = `doctor.hint_${id}`;
  return ["error", "warning"].includes(status) && hasText(key) ? key : null;
}
