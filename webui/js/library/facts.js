/**
 * What a video was made from and with, as rows of a key and a value in the page's language.
 */
import { h } from "../lib/dom.js";
import { duration, number } from "../lib/format.js";
import { hasText, locale, t } from "../lib/i18n.js";
import { displayName, engineTitle, library } from "../state/library.js";

/** @typedef {import("../types.js").Job} Job */
/** @typedef {[string, string|null|undefined]} Row  key of the label, value; without a value the row is left out */

/** @param {string} iso */
export const moment = (iso) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));

/** @param {string} key @param {string} otherwise */
const words = (key, otherwise) => (hasText(key) ? t(key) : otherwise);

/** @param {string} id */
function voiceName(id) {
  const voice = library.voice(id);
  return voice ? displayName(voice) : t("lib.deleted_voice");
}

/** What was asked for: what two videos can differ in. @param {Job} job @returns {Row[]} */
export function settingRows(job) {
  const { voice_settings: manner, output } = job;
  const avatar = library.avatar(job.avatar_url);
  const speakers = job.speakers ?? [];
  const engine = engineTitle(job.selected_engine);
  return [
    ["lib.fact_engine", job.wangp_model ? `${engine} · ${job.wangp_model}` : engine],
    ["studio.preset", job.preset && job.selected_engine === "infinitetalk" ? words(`studio.preset_${job.preset}`, job.preset) : null],
    ["lib.fact_avatar", avatar ? displayName(avatar) : t("lib.deleted_avatar")],
    ["voices.title", speakers.length ? speakers.map((speaker) => `${speaker.name}: ${voiceName(speaker.voice_id)}`).join(", ") : voiceName(job.voice_id)],
    ["options.aspect", output.aspect === "source" ? t("options.aspect_source") : output.aspect],
    ["options.resolution", output.resolution],
    ["options.subtitles", words(`options.subtitles_${output.subtitles}`, output.subtitles)],
    ["options.speed", `${number(manner.speed)}×`],
    ["options.pause", t("lib.milliseconds", { n: number(manner.pause_ms) })],
    ["options.pitch", manner.pitch ? t("options.semitones", { n: number(manner.pitch) }) : null],
    ["options.language", words(`language.${manner.language}`, manner.language)],
    ["lib.fact_seed", job.seed === null ? null : String(job.seed)],
  ];
}

/** What the voice is, by the notice that its use brings. @type {[string, string][]} */
const VOICE_KINDS = [["voice_clone", "lib.voice_copy"], ["voice_match", "lib.voice_matched"], ["voice_stand_in", "lib.voice_stand_in"]];

/** Where it comes from: what is written into the file too. @param {Job} job @returns {Row[]} */
export function provenanceRows(job) {
  const took = job.started_at && job.completed_at ? (Date.parse(job.completed_at) - Date.parse(job.started_at)) / 1000 : null;
  const kind = VOICE_KINDS.find(([code]) => job.notice_codes?.includes(code))?.[1] ?? "lib.voice_builtin";
  return [
    ["lib.fact_picture", engineTitle(job.selected_engine)],
    ["lib.fact_speech", job.speech_engine && (speechTitle(job.speech_engine) ?? job.speech_engine)],
    ["lib.fact_voice", t(kind)],
    ["lib.fact_created", moment(job.created_at)],
    ["lib.fact_took", took === null ? null : duration(took)],
    ["lib.fact_id", job.job_id],
  ];
}

/** @param {string} name */
function speechTitle(name) {
  const engine = library.speechEngines.find((item) => item.name === name);
  return engine && (locale() === "zh-CN" ? engine.title_zh : engine.title_en);
}

/** @param {Row[]} rows */
export function factList(rows) {
  return h("dl", { class: "fact-list" }, ...rows.map(([key, value]) => value && h("div", {}, h("dt", { t: key }), h("dd", {}, value))));
}
