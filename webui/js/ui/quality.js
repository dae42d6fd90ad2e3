/**
 * Quality as a person means it: a draft at once, a good video soon, the best one in its time. Engine and preset follow.
 */
import { h, fill } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { form } from "../state/form.js";
import { engineTitle, library } from "../state/library.js";
import { enginesLink } from "./engines.js";
import { onFields } from "./fields.js";
import { engineTrouble } from "./wording.js";

/** Of InfiniteTalk, from the best to the quickest. */
export const PRESETS = ["quality", "balanced", "fast", "turbo"];
/** @type {("draft"|"fast"|"best")[]} */
const QUALITIES = ["draft", "fast", "best"];
const DRAFT = "draft";

/** @returns {"draft"|"fast"|"best"} what the chosen engine and preset come to */
function qualityNow() {
  const { engine, preset } = form.value;
  if (engine === DRAFT) return "draft";
  return ["fast", "turbo"].includes(preset) ? "fast" : "best";
}

/** @param {"draft"|"fast"|"best"} quality */
function choose(quality) {
  const engine = form.value.engine === DRAFT ? "auto" : form.value.engine;
  if (quality === "draft") form.set({ engine: DRAFT });
  else form.set({ engine, preset: quality === "fast" ? "fast" : "quality" });
}

/** Whether the video comes from Wan2GP, which knows no presets: chosen, or the only one that is ready to make it. */
function isPresetIdle() {
  const { engine } = form.value;
  const able = library.engines.filter((item) => (engine === "auto" ? item.ready && item.kind === "gpu" : item.name === engine));
  return able.length === 1 && able[0].name === "wan2gp";
}

/** Where nothing but drafts can be made, a new user begins with one. */
export function settleQuality() {
  if (form.isFresh && library.engines.length && !library.engines.some((engine) => engine.ready && engine.name !== DRAFT)) form.set({ engine: DRAFT });
}

export function qualityChoice() {
  const inputs = QUALITIES.map((quality) =>
    h("input", { type: "radio", name: "quality", class: "sr-only", value: quality, onchange: () => choose(quality) }),
  );
  const note = h("p", { id: "quality-note", class: "engine-note quiet" });
  const update = () => {
    for (const input of inputs) input.checked = input.value === qualityNow();
    fill(note, ...noteOf(), ...(isPresetIdle() ? [" ", h("span", { t: "studio.quality_wan2gp" })] : []));
    note.classList.toggle("is-warning", form.value.engine !== "auto" && library.engine(form.value.engine)?.ready === false);
  };
  onFields(["engine", "preset"], update);
  library.addEventListener("engines", update);
  document.addEventListener("localechange", update);
  return h(
    "div",
    { class: "field quality", role: "radiogroup", "aria-labelledby": "quality-label", "aria-describedby": "quality-note" },
    h("span", { class: "field-label", id: "quality-label", t: "studio.quality" }),
    h(
      "div",
      { class: "segments" },
      ...QUALITIES.map((quality, n) =>
        h("label", { class: "segment" }, inputs[n], h("span", {}, h("span", { t: `studio.quality_${quality}` }), h("small", { t: `studio.quality_${quality}_note` }))),
      ),
    ),
    note,
  );
}

/** Who will make it, and what is in the way. */
function noteOf() {
  const more = enginesLink();
  const engine = library.engine(form.value.engine);
  if (engine && !engine.ready) {
    const trouble = engineTrouble(engine);
    return [h("span", {}, trouble ? t(...trouble.cause) : (engine.reason ?? t(`engine.state_${engine.state}`))), " ", more];
  }
  if (engine) return [h("span", { t: engine.name === DRAFT ? "engine.draft_note" : "engine.ready_note" })];
  const able = library.engines.filter((item) => item.ready && item.name !== DRAFT);
  if (able.length || !library.engines.length) return [h("span", { t: ["studio.made_by", { names: able.map((item) => engineTitle(item.name)).join(t("list.comma")) || t("engine.auto") }] })];
  return [h("span", { t: "engine.auto_draft_note" }), " ", more];
}
