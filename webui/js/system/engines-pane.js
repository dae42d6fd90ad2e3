/**
 * `#/system/engines`: every engine, whether it can work now, why not and what to do; and the processes behind them.
 */
import { getMachine, fixWithDoctor } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { hasText, isChinese, t } from "../lib/i18n.js";
import { Repeat } from "../lib/repeat.js";
import { library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { engineCard } from "../ui/engines.js";
import { icon } from "../ui/icons.js";
import { details } from "../ui/problem.js";
import { Pane, keepFocus, table } from "./pane.js";

/** @typedef {import("../types.js").SpeechEngine} SpeechEngine */
/** @typedef {import("../types-system.js").WorkerState} WorkerState */

const LOOK_EVERY_MS = 4000;
/** Engines that the doctor looks at by their bare name. */
const OWN_CHECKS = new Set(["draft", "speech"]);
/** Products keep their names in every language. @type {Record<string, string>} */
const PRODUCTS = { infinitetalk: "InfiniteTalk", moss_nano: "MOSS-TTS-Nano", voxcpm: "VoxCPM2", wan2gp: "Wan2GP" };

export class EnginesPane extends Pane {
  #engines = h("ul", { class: "engines-list engines-grid" });
  #speech = h("ul", { class: "engines-list engines-grid" });
  #workers = h("div", {});
  /** @type {WorkerState[]} */
  #states = [];
  /** Names of the workers that are being started again: minutes, while the rows are drawn anew. @type {Set<string>} */
  #restarting = new Set();
  #seen = "";
  #asking = new Repeat(
    () => this.#load(),
    () => LOOK_EVERY_MS,
  );

  build() {
    fill(
      this,
      h(
        "div",
        { class: "screen-head" },
        h("p", { class: "quiet", t: "engines.intro" }),
        h("button", { type: "button", class: "button", t: "engines.refresh", onclick: () => void this.#asking.now() }, icon("retry")),
      ),
      this.said,
      h("h3", { t: "system.video_engines" }),
      this.#engines,
      h("h3", { t: "system.speech_engines" }),
      this.#speech,
      h("h3", { t: "system.workers" }),
      h("p", { class: "quiet", t: "system.workers_intro" }),
      this.#workers,
    );
  }

  begin() {
    this.#asking.start();
  }

  end() {
    this.#asking.stop();
  }

  async #load() {
    await this.load(async () => {
      const [machine] = await Promise.all([getMachine(), library.loadEngines()]);
      this.#states = machine.workers;
    });
    const seen = JSON.stringify([library.engines, library.speechEngines, this.#states]);
    // Drawn anew only when something has changed: whoever is reading or on a button stays there.
    if (seen !== this.#seen) this.render();
    this.#seen = seen;
  }

  render() {
    fill(this.#engines, ...library.engines.map((engine) => engineCard(engine, { level: "h4" })));
    fill(this.#speech, ...library.speechEngines.map(speechCard));
    const heads = ["system.worker", "system.state", "system.memory", "system.restarts", "system.task", "system.action"];
    keepFocus(this.#workers, () => fill(this.#workers, table("system.workers", heads, this.#states.map((worker) => this.#row(worker)))));
  }

  /** @param {WorkerState} worker */
  #row(worker) {
    const key = `system.worker_${worker.state}`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, hasText(`system.name_${worker.name}`) ? h("span", { t: `system.name_${worker.name}` }) : (PRODUCTS[worker.name] ?? worker.name)),
      h("td", {}, hasText(key) ? h("span", { t: key }) : worker.state),
      h("td", { class: "number" }, worker.rss_mib === null ? "–" : t("system.mib", { n: number(Math.round(worker.rss_mib)) })),
      h("td", { class: "number" }, number(worker.restarts)),
      h("td", {}, worker.job_id ? h("a", { href: `#/jobs/${worker.job_id}` }, worker.job_id) : "–"),
      h("td", {}, worker.state === "unavailable" || this.#restarting.has(worker.name) ? this.#button(worker) : "–"),
    );
  }

  /** @param {WorkerState} worker */
  #button(worker) {
    const isBusy = this.#restarting.has(worker.name);
    return h(
      "button",
      { type: "button", class: "button button-small", "data-act": worker.name, "aria-disabled": String(isBusy), t: isBusy ? "system.restarting" : "system.restart", onclick: () => void this.#restart(worker) },
      isBusy && h("span", { class: "spinner", "aria-hidden": "true" }),
      h("span", { class: "sr-only" }, `${worker.name}: `),
    );
  }

  /** @param {WorkerState} worker */
  async #restart({ name }) {
    if (this.#restarting.has(name)) return;
    this.#restarting.add(name);
    this.render();
    announce(t("system.restarting"));
    const done = await this.attempt(() => fixWithDoctor(OWN_CHECKS.has(name) ? name : "engine." + name));
    this.#restarting.delete(name);
    this.render();
    if (done) announce(t("system.restarted"));
    await this.#asking.now();
  }
}

/** @param {SpeechEngine} engine */
function speechCard(engine) {
  return h(
    "li",
    { class: "engine", "data-ready": String(engine.ready) },
    h(
      "div",
      { class: "engine-head" },
      h("h4", {}, isChinese() ? engine.title_zh : engine.title_en),
      h("span", { class: `badge ${engine.ready ? "badge-ok" : "badge-idle"}`, t: `engine.state_${engine.state}` }, icon(engine.ready ? "check" : "info")),
    ),
    h("p", { class: "quiet", t: engine.is_clone ? "system.clones" : "system.speaks" }),
    !engine.ready && speechFix(engine),
  );
}

/** @param {SpeechEngine} engine */
function speechFix(engine) {
  const served = [engine.reason, engine.fix].filter((text) => text !== null);
  if (!isChinese()) return h("div", {}, ...served.map((text) => h("p", {}, text)));
  return h(
    "div",
    {},
    h("p", { t: engine.state === "NOT_INSTALLED" ? "system.speech_fix" : "system.speech_wait" }),
    served.length > 0 && details(...served.map((text) => h("p", { lang: "en" }, text))),
  );
}

