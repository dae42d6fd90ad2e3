/**
 * The service's endpoints that the page uses, one function each.
 */
import { LONG_TIMEOUT_MS, request } from "./client.js";

/** @typedef {import("../types.js").Job} Job */
/** @typedef {{data: Job[], has_more: boolean, next_cursor: string|null}} JobPage */

/** @param {string} id */
const jobPath = (id) => `/api/jobs/${encodeURIComponent(id)}`;

/**
 * @param {{limit: number, cursor?: string|null}} page
 * @returns {Promise<JobPage>}
 */
export function listJobs({ limit, cursor }) {
  const query = new URLSearchParams({ order: "desc", limit: String(limit) });
  if (cursor) query.set("cursor", cursor);
  return request(`/api/jobs?${query}`);
}

/** @param {string} id @returns {Promise<Job>} */
export const getJob = (id) => request(jobPath(id));

/**
 * @param {object} body
 * @param {string} key the same key makes the same job once, however often it is sent
 * @returns {Promise<{job_id: string}>}
 */
export const createJob = (body, key) =>
  request("/api/jobs", { method: "POST", json: body, headers: { "Idempotency-Key": key } });

/** What a job would take; nothing is made. @param {object} body @returns {Promise<import("../types.js").Estimate>} */
export const estimateJob = (body) => request("/api/jobs/estimate", { method: "POST", json: body });

/** @param {string} id @returns {Promise<Job>} */
export const cancelJob = (id) => request(`${jobPath(id)}/cancel`, { method: "POST" });

/**
 * @param {string} id
 * @param {{engine?: string}} [options]
 * @returns {Promise<{job_id: string}>}
 */
export const retryJob = (id, options = {}) => request(`${jobPath(id)}/retry`, { method: "POST", json: options });

/** @param {string} id @param {{priority?: number, title?: string, starred?: boolean, folder_id?: string|null}} changes @returns {Promise<Job>} */
export const patchJob = (id, changes) => request(jobPath(id), { method: "PATCH", json: changes });

/**
 * Make a draft's video anew with an engine on a GPU; what was spoken is used again.
 * @param {string} id
 * @param {{quality: "fast"|"best", engine?: string, preset?: string}} order
 * @returns {Promise<{job_id: string}>}
 */
export const promoteJob = (id, order) => request(`${jobPath(id)}/promote`, { method: "POST", json: order });

/** What a running job looks like so far; null while there is nothing. @param {string} id @returns {Promise<Blob|null>} */
export const getPreview = (id) => request(`${jobPath(id)}/preview`, { as: "blob" });

/** @param {string} id */
export const deleteJob = (id) => request(jobPath(id), { method: "DELETE", as: "none" });

/**
 * All entries of a list that comes in pages.
 * @template T
 * @param {string} path
 * @returns {Promise<{data: T[]}>}
 */
async function allPages(path) {
  /** @type {T[]} */
  const data = [];
  let cursor = "";
  do {
    const page = await request(cursor ? `${path}?cursor=${encodeURIComponent(cursor)}` : path);
    data.push(...page.data);
    cursor = page.next_cursor ?? "";
  } while (cursor);
  return { data };
}

/** @returns {Promise<{data: import("../types.js").Voice[]}>} */
export const listVoices = () => allPages("/api/voices");

/** @param {string} id */
export const deleteVoice = (id) =>
  request(`/api/voices/${encodeURIComponent(id)}`, { method: "DELETE", as: "none" });

/** @param {string} id @returns {Promise<import("../types.js").Voice>} */
export const getVoice = (id) => request(`/api/voices/${encodeURIComponent(id)}`);

/**
 * @param {string} id
 * @param {{name?: string, note?: string, language?: string}} changes
 * @returns {Promise<import("../types.js").Voice>}
 */
export const patchVoice = (id, changes) =>
  request(`/api/voices/${encodeURIComponent(id)}`, { method: "PATCH", json: changes });

/** Measure and match a voice anew, from its original recording. @param {string} id */
export const enrolVoice = (id) =>
  request(`/api/voices/${encodeURIComponent(id)}/enrol`, { method: "POST", timeoutMs: LONG_TIMEOUT_MS });

/**
 * @param {string} id
 * @param {{speed?: number, pitch?: number, speech_engine?: string, text?: string}} manner
 * @returns {Promise<Blob>} a WAV
 */
export const previewVoice = (id, manner) =>
  request(`/api/voices/${encodeURIComponent(id)}/preview`, {
    method: "POST",
    json: manner,
    as: "blob",
    timeoutMs: LONG_TIMEOUT_MS,
  });

/** @returns {Promise<{data: import("../types.js").SpeechEngine[]}>} */
export const listSpeechEngines = () => request("/api/speech/engines");

/**
 * What will be said, sentence by sentence.
 * @param {{text: string, language: string, speakers?: string[]}} script
 * @returns {Promise<import("../types.js").ScriptCheck>}
 */
export const checkScript = (script) =>
  request("/api/script/check", { method: "POST", json: script, timeoutMs: LONG_TIMEOUT_MS });

/** @returns {Promise<{data: import("../types.js").Reading[]}>} */
export const listReadings = () => request("/api/dictionary");

/** @param {string} term @param {string} reading */
export const putReading = (term, reading) =>
  request(`/api/dictionary/${encodeURIComponent(term)}`, { method: "PUT", json: { reading } });

/** @param {string} term */
export const deleteReading = (term) =>
  request(`/api/dictionary/${encodeURIComponent(term)}`, { method: "DELETE", as: "none" });

/** @returns {Promise<{data: import("../types.js").ScriptModel[], chosen: string|null}>} */
export const listScriptModels = () => request("/api/script/models");

/** @typedef {{name: string, body: Record<string, unknown>, revision: number, saved_at: string}} Draft */

/** @returns {Promise<{data: {name: string, revision: number}[]}>} */
export const listDrafts = () => request("/api/drafts");

/** @param {string} name @returns {Promise<Draft>} */
export const getDraft = (name) => request(`/api/drafts/${encodeURIComponent(name)}`);

/** @param {string} name @param {{body: object, revision: number|null}} draft @returns {Promise<Draft>} */
export const putDraft = (name, draft) => request(`/api/drafts/${encodeURIComponent(name)}`, { method: "PUT", json: draft });

/** @returns {Promise<{data: import("../types.js").Avatar[]}>} */
export const listAvatars = () => allPages("/api/avatars");

/** @param {File} file @returns {Promise<import("../types.js").Avatar>} */
export function uploadAvatar(file) {
  const form = new FormData();
  form.set("image_file", file);
  form.set("name", file.name);
  return request("/api/avatars", { method: "POST", form, timeoutMs: LONG_TIMEOUT_MS });
}

/** @param {string} id */
export const deleteAvatar = (id) =>
  request(`/api/avatars/${encodeURIComponent(id)}`, { method: "DELETE", as: "none" });

/** @returns {Promise<{data: import("../types.js").Engine[]}>} */
export const listEngines = () => request("/api/engines");

/** @returns {Promise<import("../types.js").System>} */
export const getSystem = () => request("/api/system");

/** The first visit is over: the page opens in the Studio from now on. */
export const finishFirstRun = () => request("/api/system/first-run", { method: "POST", json: { done: true } });

/** @returns {Promise<import("../types.js").Queue>} */
export const getQueue = () => request("/api/queue");

/** @returns {Promise<import("../types.js").Queue>} */
export const pauseQueue = () => request("/api/queue/pause", { method: "POST" });

/** @returns {Promise<import("../types.js").Queue>} */
export const resumeQueue = () => request("/api/queue/resume", { method: "POST" });

/** @returns {Promise<{required: boolean}>} whether this service asks for a key */
export const getSession = () => request("/api/session", { open: true });

/** @param {string} key */
export const openSession = (key) => request("/api/session", { method: "POST", json: { key }, as: "none", open: true });

export const closeSession = () => request("/api/session", { method: "DELETE", as: "none", open: true });
