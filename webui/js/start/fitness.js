/**
 * Whether this computer is fit, in short: one line for each thing that was looked at, and what to do where it is not well.
 */
import { runDoctor } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { hasText, isChinese, t } from "../lib/i18n.js";
import { titleOf } from "../system/doctor-list.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";

/** @typedef {import("../types-system.js").DoctorCheck} Check */

/** @type {Record<string, [string, string]>} */
const LOOKS = { ok: ["is-ok", "check"], warning: ["is-warning", "warning"], error: ["is-error", "error"], skipped: ["is-idle", "info"] };
/** What is not installed is no news at the first visit, but that there is no graphics card is. */
const GPU = "gpu_driver";
/** What needs somebody comes first. */
const ORDER = ["error", "warning", "ok", "skipped"];

export class Fitness {
  /** @type {Check[]|null} */
  #checks = null;
  #list = h("ul", { class: "fitness" });
  #state = h("p", { class: "fitness-state", role: "status" });
  element = h("div", { class: "start-place" }, this.#state, this.#list, h("p", {}, h("a", { class: "quiet", href: "#/system/doctor", t: "start.check_more" })));

  async run() {
    fill(this.#state, h("span", { class: "spinner", "aria-hidden": "true" }), h("span", { t: "start.checking" }));
    try {
      this.#checks = (await runDoctor()).checks;
      this.draw();
    } catch (error) {
      fill(this.#state, problemBox(asProblem(error)));
    }
  }

  /** Anew, in the language of now. */
  draw() {
    if (!this.#checks) return;
    const bad = this.#checks.filter((check) => check.status === "error").length;
    fill(this.#state, h("strong", { t: bad ? ["start.check_bad", { n: bad }] : "start.check_good" }));
    const sorted = [...this.#checks].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
    fill(this.#list, ...sorted.filter((check) => check.status !== "skipped" || check.id === GPU).map(line));
  }
}

/** @param {Check} check */
function line(check) {
  const [look, mark] = LOOKS[check.status] ?? LOOKS.skipped;
  const needs = check.status !== "ok";
  const hint = `doctor.hint_${check.id.split(".")[0]}`;
  const said = isChinese() && hasText(hint) ? h("p", { class: "quiet", t: hint }) : h("p", { class: "quiet", lang: "en" }, check.detail);
  return h(
    "li",
    { class: `fitness-line ${look}`, "data-check": check.id },
    icon(mark),
    h("div", {}, h("p", {}, titleOf(check), h("span", { class: "sr-only" }, `: ${t(`doctor.status_${check.status}`)}`)), needs && said),
  );
}
