/**
 * `<aio-options>`: the shape of the video and the engine that makes it.
 */
import { h, fill } from "../lib/dom.js";
import { isChinese, t } from "../lib/i18n.js";
import { form } from "../state/form.js";
import { engineTitle, library } from "../state/library.js";
import { enginesLink } from "./engines.js";
import { choice, onFields, segments, slider, textField, tick } from "./fields.js";
import { PRESETS, qualityChoice } from "./quality.js";
import { engineTrouble } from "./wording.js";

/** @param {string} shape */
const shapeMark = (shape) => h("span", { class: `shape shape-${shape}`, "aria-hidden": "true" });

/** @param {number} value */
const times = (value) => `${value.toFixed(2).replace(/0$/, "")}×`;

export class Options extends HTMLElement {
  connectedCallback() {
    this.classList.add("options");
    fill(
      this,
      segments("aspect", "options.aspect", [
        { value: "1:1", text: "options.aspect_square", mark: shapeMark("square") },
        { value: "9:16", text: "options.aspect_tall", mark: shapeMark("tall") },
        { value: "16:9", text: "options.aspect_wide", mark: shapeMark("wide") },
        { value: "source", text: "options.aspect_source", mark: shapeMark("source") },
      ]),
      qualityChoice(),
      segments("subtitles", "options.subtitles", [
        { value: "file", text: "options.subtitles_file" },
        { value: "burn_in", text: "options.subtitles_burn_in" },
        { value: "none", text: "options.subtitles_none" },
      ]),
      this.#advanced(),
    );
  }

  #advanced() {
    return h(
      "details",
      { class: "advanced", id: "advanced" },
      h("summary", { t: "options.advanced" }),
      h(
        "div",
        { class: "advanced-body" },
        h("p", { class: "group-title", t: "studio.group_picture" }),
        engineChoice(),
        presetChoice(),
        modelChoice(),
        segments("resolution", "options.resolution", [
          { value: "512p", text: "options.resolution_512" },
          { value: "720p", text: "options.resolution_720" },
        ]),
        textField("seed", "options.seed", { id: "seed", hint: "options.seed_hint", inputmode: "numeric", maxlength: 10 }),
        textField("prompt", "options.prompt", { hint: "options.prompt_hint", maxlength: 2000 }),
        tick("allowFallback", "options.fallback"),
        h("p", { class: "group-title", t: "studio.group_speech" }),
        slider("speed", "options.speed", { min: 0.5, max: 2, step: 0.05, show: times }),
        slider("pitch", "options.pitch", { min: -6, max: 6, step: 1, show: (value) => t("options.semitones", { n: value > 0 ? `+${value}` : value }) }),
        slider("pauseMs", "options.pause", {
          min: 0,
          max: 1500,
          step: 50,
          show: (value) => t("time.milliseconds", { ms: value }),
        }),
        choice("language", "options.language", [
          { value: "auto", text: "language.auto" },
          { value: "zh", text: "language.zh" },
          { value: "en", text: "language.en" },
          { value: "ja", text: "language.ja" },
        ]),
        speechEngineChoice(),
        textField("title", "options.title", { maxlength: 200 }),
      ),
    );
  }
}

/** How InfiniteTalk weighs quality and time; shown where it may be the one that makes the video. */
function presetChoice() {
  const field = choice("preset", "studio.preset", PRESETS.map((name) => ({ value: name, text: `studio.preset_${name}` })));
  onFields(["engine"], () => {
    field.hidden = !["auto", "infinitetalk"].includes(form.value.engine);
  });
  return field;
}

/** Who speaks in a voice of one's own; built-in voices are always spoken by the built-in engine. */
function speechEngineChoice() {
  const select = h("select", { id: "speech-engine", class: "input", "aria-describedby": "speech-engine-note", onchange: () => form.set({ speechEngine: select.value }) });
  const note = h("p", { id: "speech-engine-note", class: "quiet" });
  const update = () => {
    const options = library.speechEngines.map((engine) =>
      h("option", { value: engine.name }, `${isChinese() ? engine.title_zh : engine.title_en} · ${t(`engine.state_${engine.state}`)}`),
    );
    fill(select, h("option", { value: "auto" }, t("engine.auto")), ...options);
    const wanted = form.value.speechEngine;
    const engine = library.speechEngines.find((item) => item.name === wanted);
    if (wanted !== "auto" && !engine && library.speechEngines.length) form.set({ speechEngine: "auto" });
    select.value = form.value.speechEngine;
    fill(note, engine && !engine.ready ? (engine.fix ?? engine.reason ?? "") : t("options.speech_engine_note"));
    if (engine && !engine.ready) note.lang = "en";
    else note.removeAttribute("lang");
  };
  onFields(["speechEngine"], update);
  library.addEventListener("engines", update);
  document.addEventListener("localechange", update);
  return h("div", { class: "field" }, h("label", { class: "field-label", for: "speech-engine", t: "options.speech_engine" }), select, note);
}

/** Wan2GP's models, each with its state; the first choice lets the engine decide. Shown where it may make the video. */
function modelChoice() {
  const select = h("select", { id: "wangp-model", class: "input", "aria-describedby": "wangp-note", onchange: () => form.set({ wangpModel: select.value }) });
  const note = h("p", { id: "wangp-note", class: "quiet" });
  const update = () => {
    const models = library.engine("wan2gp")?.models ?? [];
    const { wangpModel } = form.value;
    const options = models.map((model) =>
      h("option", { value: model.name }, `${model.name} · ${t(model.ready ? "options.model_ready" : "options.model_absent")}`),
    );
    // Taken over from an old video, before the engines have been told.
    const unlisted = wangpModel && !models.some((model) => model.name === wangpModel) && h("option", { value: wangpModel }, wangpModel);
    fill(select, h("option", { value: "" }, t("options.model_auto")), ...options, unlisted);
    select.value = wangpModel;
    const model = models.find((item) => item.name === wangpModel);
    fill(note, model ? h("span", { t: [model.drive === "text" ? "options.model_text" : "options.model_speech", { n: model.speakers }] }) : h("span", { t: "options.model_note" }));
  };
  onFields(["wangpModel"], update);
  library.addEventListener("engines", update);
  document.addEventListener("localechange", update);
  const field = h("div", { class: "field" }, h("label", { class: "field-label", for: "wangp-model", t: "options.model" }), select, note);
  onFields(["engine"], () => {
    field.hidden = !["auto", "wan2gp"].includes(form.value.engine);
  });
  return field;
}

/** The engine, each with its state, and what to do when the chosen one is not ready. */
function engineChoice() {
  const select = h("select", {
    id: "engine",
    class: "input",
    "aria-describedby": "engine-note",
    onchange: () => form.set({ engine: select.value }),
  });
  const note = h("div", { id: "engine-note", class: "engine-note quiet" });

  const update = () => {
    const automatic = h("option", { value: "auto" }, t("engine.auto"));
    const options = library.engines.map((engine) =>
      h("option", { value: engine.name }, `${engineTitle(engine.name)} · ${t(`engine.state_${engine.state}`)}`),
    );
    fill(select, automatic, ...options);
    const wanted = form.value.engine;
    if (wanted !== "auto" && !library.engine(wanted) && library.engines.length) form.set({ engine: "auto" });
    select.value = form.value.engine;
    const engine = library.engine(form.value.engine);
    const more = enginesLink();
    if (!engine) {
      const onlyDraft = library.engines.length > 0 && library.engines.every((item) => !item.ready || item.name === "draft");
      fill(note, h("span", { t: onlyDraft ? "engine.auto_draft_note" : "engine.auto_note" }), " ", more);
    } else if (engine.ready) {
      fill(note, h("span", { t: engine.name === "draft" ? "engine.draft_note" : "engine.ready_note" }));
    } else {
      const trouble = engineTrouble(engine);
      const why = trouble ? t(...trouble.cause) : (engine.reason ?? t(`engine.state_${engine.state}`));
      fill(note, h("span", {}, why), " ", more);
    }
    note.classList.toggle("is-warning", Boolean(engine && !engine.ready));
  };
  onFields(["engine"], update);
  library.addEventListener("engines", update);
  document.addEventListener("localechange", update);
  return h("div", { class: "field" }, h("label", { class: "field-label", for: "engine", t: "options.engine" }), select, note);
}
