/**
 * The endpoints of the Models and System screens, one function each.
 */
import { LONG_TIMEOUT_MS, request } from "./client.js";

/** @typedef {import("../types-system.js").FullModel} FullModel */
/** @typedef {import("../types-system.js").ModelList} ModelList */
/** @typedef {import("../types-system.js").DiskLedger} DiskLedger */
/** @typedef {import("../types-system.js").Reclaimable} Reclaimable */
/** @typedef {import("../types-system.js").Machine} Machine */
/** @typedef {import("../types-system.js").Webhook} Webhook */
/** @typedef {import("../types-system.js").Delivery} Delivery */
/** @typedef {import("../types-system.js").DictionaryEntry} DictionaryEntry */
/** @typedef {import("../types-system.js").BatchSummary} BatchSummary */
/** @typedef {import("../types-system.js").ApiKey} ApiKey */
/** @typedef {import("../types-system.js").Setting} Setting */
/** @typedef {import("../types-system.js").LogLine} LogLine */
/** @typedef {import("../types-system.js").DoctorCheck} DoctorCheck */

/** @param {string} text */
const part = (text) => encodeURIComponent(text);

/** @param {Record<string, string|number|null|undefined>} values  empty ones are left out */
function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}

/** @returns {Promise<ModelList>} */
export const listModels = () => request("/api/models");

/** @param {string} id @param {"download"|"pause"|"resume"|"verify"} action @returns {Promise<FullModel>} */
export const actOnModel = (id, action) => request(`/api/models/${part(id)}/${action}`, { method: "POST" });

/** @param {string} id @returns {Promise<FullModel>} */
export const deleteModel = (id) => request(`/api/models/${part(id)}`, { method: "DELETE" });

/** Walks the data folder: may take a moment. @returns {Promise<DiskLedger>} */
export const getDisk = () => request("/api/system/disk", { timeoutMs: LONG_TIMEOUT_MS });

/** @param {string[]} what @returns {Promise<{freed_bytes: number, rules: Reclaimable[]}>} */
export const reclaimDisk = (what) =>
  request("/api/system/disk/reclaim", { method: "POST", json: { what }, timeoutMs: LONG_TIMEOUT_MS });

/** @returns {Promise<Machine>} */
export const getMachine = () => request("/api/system");

/** @returns {Promise<{data: Webhook[]}>} */
export const listWebhooks = () => request("/api/webhooks");

/** @param {string} url @param {string[]} events @returns {Promise<Webhook & {secret: string}>} */
export const addWebhook = (url, events) => request("/api/webhooks", { method: "POST", json: { url, events } });

/** @param {string} id */
export const deleteWebhook = (id) => request(`/api/webhooks/${part(id)}`, { method: "DELETE", as: "none" });

/** @param {string} id @returns {Promise<Delivery>} */
export const testWebhook = (id) =>
  request(`/api/webhooks/${part(id)}/test`, { method: "POST", timeoutMs: LONG_TIMEOUT_MS });

/** @param {string} id @returns {Promise<{data: Delivery[]}>} */
export const listDeliveries = (id) => request(`/api/webhooks/${part(id)}/deliveries?limit=50`);

/** The secret for receivers that jobs name themselves. @returns {Promise<{secret: string}>} */
export const makeWebhookSecret = () => request("/api/webhooks/secret", { method: "POST" });

/** @returns {Promise<{data: DictionaryEntry[]}>} */
export const listDictionary = () => request("/api/dictionary");

/** @returns {Promise<{data: BatchSummary[], next_cursor: string|null}>} */
export const listBatches = () => request("/api/batches?limit=50");

/** @param {string} id */
export const cancelBatch = (id) => request(`/api/batches/${part(id)}/cancel`, { method: "POST" });

/** @returns {Promise<{data: ApiKey[]}>} */
export const listKeys = () => request("/api/keys");

/** @param {string} name @returns {Promise<ApiKey & {key: string}>} */
export const addKey = (name) => request("/api/keys", { method: "POST", json: { name } });

/** @param {string} id */
export const deleteKey = (id) => request(`/api/keys/${part(id)}`, { method: "DELETE", as: "none" });

/** @returns {Promise<{data: Setting[]}>} */
export const listSettings = () => request("/api/settings");

/** @param {Record<string, string|number|boolean|null>} values  null: back to the default @returns {Promise<{data: Setting[]}>} */
export const saveSettings = (values) => request("/api/settings", { method: "PATCH", json: { values } });

/**
 * @param {{source?: string, level?: string, q?: string, job_id?: string, cursor?: string|null}} filter
 * @returns {Promise<{data: LogLine[], next_cursor: string|null}>}
 */
export const listLogs = (filter) => request(`/api/logs?${query({ limit: 100, ...filter })}`);

/** @returns {Promise<{checks: DoctorCheck[], checked_at: string}>} */
export const runDoctor = () => request("/api/doctor", { method: "POST", timeoutMs: LONG_TIMEOUT_MS });

/** @param {string} id */
export const fixWithDoctor = (id) =>
  request("/api/doctor/fix", { method: "POST", json: { id }, timeoutMs: LONG_TIMEOUT_MS });

/** Where a browser downloads the support bundle from. */
export const SUPPORT_BUNDLE = "/api/support-bundle";
