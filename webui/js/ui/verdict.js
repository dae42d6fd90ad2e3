/**
 * What the video would take, before it is made: who makes it, how long, whether it fits. Asked when the form rests.
 */
import { estimateJob } from "../api/endpoints.js";
import { debounce, h, fill } from "../lib/dom.js";
import { duration, number } from "../lib/format.js";
import { hasText, t } from "../lib/i18n.js";
import { form } from "../state/form.js";
import { engineTitle, library } from "../state/library.js";
import { icon } from "./icons.js";
import { causeOf } from "./wording.js";

/** @typedef {import("../types.js").Estimate} Estimate */

/** Nobody reads a figure between two letters. */
const ASK_AFTER_MS = 700;
const GIB = 1024;

/** Element that follows the composer; empty while something is missing. */
export function verdict() {
  const box = h("div", { id: "verdict", class: "verdict quiet", role: "status" });
  /** Answers of earlier questions come late. */
  let asked = 0;
  /** @type {Estimate|null} */
  let last = null;

  const show = () => {
    fill(box, ...(last ? lines(last) : []));
    box.classList.toggle("is-warning", last?.fits === false);
  };
  const ask = debounce(async () => {
    const question = ++asked;
    /** @type {Estimate|null} */
    let answer = null;
    if (!form.obstacle()) {
      try {
        answer = await estimateJob(form.body());
      } catch {
        // A verdict is a courtesy: what is wrong with the request is told when it is sent.
        answer = null;
      }
    }
    if (question !== asked) return;
    last = answer;
    show();
  }, ASK_AFTER_MS);

  form.addEventListener("change", ask);
  for (const news of ["engines", "voices", "avatars", "limits"]) library.addEventListener(news, ask);
  document.addEventListener("localechange", show);
  ask();
  return box;
}

/** @param {Estimate} estimate */
function lines(estimate) {
  const who = [engineTitle(estimate.engine), estimate.wangp_model].filter(Boolean).join(" · ");
  const facts = [
    estimate.minutes !== null &&
      t(estimate.basis === "measured" ? "verdict.minutes_measured" : "verdict.minutes_table", { time: duration(estimate.minutes * 60) }),
    who,
    t("verdict.speech", { time: duration(estimate.speech_seconds) }),
    estimate.vram_needed_mib !== null && t("verdict.memory", { n: number(Math.round((estimate.vram_needed_mib / GIB) * 10) / 10) }),
  ];
  return [
    h("ul", { class: "verdict-facts" }, fitsBadge(estimate.fits), ...facts.filter(Boolean).map((fact) => h("li", {}, String(fact)))),
    h(
      "div",
      { class: "verdict-reasons" },
      ...estimate.reasons.map((reason) => h("p", { class: "verdict-reason" }, icon("warning"), reasonText(reason, estimate.engine))),
      estimate.missing_models.length > 0 && h("a", { class: "link-button", href: "#/models", t: "verdict.models" }),
    ),
  ];
}

/** Whether it fits, as a word and a mark; nothing while that is not known. @param {boolean|null} fits */
function fitsBadge(fits) {
  if (fits === null) return null;
  const [look, mark, key] = fits ? ["badge-ok", "check", "verdict.fits"] : ["badge-fallback", "warning", "verdict.fits_not"];
  return h("li", {}, h("span", { class: `badge ${look}`, t: key }, icon(mark)));
}

/** @param {{code: string, message: string}} reason @param {string} engine */
function reasonText(reason, engine) {
  if (!hasText(`error.${reason.code}.cause`)) return h("span", { lang: "en" }, reason.message);
  return h("span", { title: reason.message }, t(...causeOf(reason.code, engine)));
}
