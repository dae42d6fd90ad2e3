/**
 * From the service's stable codes to sentences of the locale table. The service itself speaks English.
 */
import { hasText, t } from "../lib/i18n.js";
import { engineTitle, library } from "../state/library.js";

/** @typedef {import("../types.js").Attempt} Attempt */
/** @typedef {import("../types.js").Avatar} Avatar */
/** @typedef {import("../types.js").Engine} Engine */
/** @typedef {import("../types.js").Job} Job */
/** @typedef {[string, import("../lib/i18n.js").Params]} Saying  key and placeholders */

/** Installers in the project folder, by engine, without their ending. @type {Record<string, string>} */
const INSTALLERS = { infinitetalk: "install_infinitetalk", wan2gp: "install_wan2gp" };

/** @param {string|null} [engine] */
const placeholders = (engine) => ({
  engine: engine ? engineTitle(engine) : t("engine.this"),
  installer: INSTALLERS[engine ?? ""] ?? "",
  image: library.limits.max_image_mib,
  audio: library.limits.max_audio_mib,
});

/** @param {string} code */
const known = (code) => (hasText(`error.${code}.cause`) ? code : "unknown");

/**
 * What happened. `engine` is the name of the engine that it happened to.
 * @param {string} code
 * @param {string|null} [engine]
 * @returns {Saying}
 */
export const causeOf = (code, engine) => [`error.${known(code)}.cause`, placeholders(engine)];

/**
 * What to do about it.
 * @param {string} code
 * @param {string|null} [engine]
 * @returns {Saying}
 */
export function fixOf(code, engine) {
  if (code === "engine_not_installed" && INSTALLERS[engine ?? ""]) {
    return ["engine.fix_install", placeholders(engine)];
  }
  return [`error.${known(code)}.fix`, placeholders(engine)];
}

/**
 * Why an engine cannot be used, and what to do; null when the code says nothing that we know.
 * @param {Engine} engine
 * @returns {{cause: Saying, fix: Saying}|null}
 */
export function engineTrouble(engine) {
  if (engine.code === "engine_unavailable" && engine.kind !== "plugin") {
    const params = placeholders(engine.name);
    return { cause: ["engine.unavailable_cpu", params], fix: ["engine.unavailable_fix_cpu", params] };
  }
  if (!engine.code || !hasText(`error.${engine.code}.cause`)) return null;
  return { cause: causeOf(engine.code, engine.name), fix: fixOf(engine.code, engine.name) };
}

/** @param {Attempt} attempt */
export const hasFailed = (attempt) => attempt.code !== null || attempt.outcome === "failed";

/** The last hop of a job that went wrong. @param {Job} job */
export const lastFailure = (job) => job.attempts.filter(hasFailed).at(-1);

/**
 * What a running job is doing.
 * @param {Job} job
 * @returns {string} a key
 */
export function activityOf(job) {
  if (job.status === "cancelling") return "activity.cancelling";
  if (job.status === "queued") return job.attempts.some(hasFailed) ? "activity.again" : "activity.queued";
  // A fallback waits in the queue for a moment before its engine begins.
  if (!job.stage) return "activity.starting";
  return `activity.${job.stage}`;
}

/** As the engines count in their messages. */
const COUNTED = /\b(window|step) (\d+) of (\d+)/gi;

/**
 * Which window and step a running job is at, in the page's language; "" when its engine does not count.
 * @param {Job} job
 */
export function countOf(job) {
  return [...job.message.matchAll(COUNTED)].map(([, word, n, of]) => t(`count.${word.toLowerCase()}`, { n, of })).join(" · ");
}

/**
 * @param {{code: string, message: string}} warning
 * @param {Avatar} avatar
 * @returns {Saying|null} null when only the service has words for it
 */
export function portraitWarning(warning, avatar) {
  const key = `portrait_warning.${warning.code}`;
  if (!hasText(key)) return null;
  return [key, { n: avatar.faces.length, px: Math.round(avatar.faces[avatar.chosen]?.size_px ?? 0) }];
}
