/**
 * Endpoints of the library of videos: search, folders, exports, reports, and drafts made final.
 */
import { ApiError, problemOf, request } from "./client.js";

/** @typedef {import("../types.js").Job} Job */
/** @typedef {import("../types-library.js").Folder} Folder */
/** @typedef {import("../types-library.js").JobFilter} JobFilter */

/** @param {string} id */
const jobPath = (id) => `/api/jobs/${encodeURIComponent(id)}`;

/** @param {string} id */
const folderPath = (id) => `/api/folders/${encodeURIComponent(id)}`;

/**
 * @param {JobFilter} filter
 * @param {{limit: number, cursor?: string|null}} page
 * @returns {Promise<import("../types-library.js").JobPage>}
 */
export function searchJobs({ q, status, engine, starred, folderId, draft, sort }, { limit, cursor }) {
  const query = new URLSearchParams({ order: sort === "oldest" ? "asc" : "desc", limit: String(limit) });
  const given = { q: q.trim(), status, engine, starred, folder_id: folderId, draft, cursor };
  for (const [name, value] of Object.entries(given)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  return request(`/api/jobs?${query}`);
}

/** @param {string} id @param {import("../types-library.js").JobPatchBody} changes @returns {Promise<Job>} */
export const patchJob = (id, changes) => request(jobPath(id), { method: "PATCH", json: changes });

/** @param {string} id @returns {Promise<import("../types-library.js").JobRequest>} */
export const getJobRequest = (id) => request(`${jobPath(id)}/request`);

/** @param {string} id @returns {Promise<import("../types-library.js").QualityReport>} */
export const getJobReport = (id) => request(`${jobPath(id)}/report`);

/** @returns {Promise<{data: Folder[]}>} */
export const listFolders = () => request("/api/folders");

/** @param {string} name @returns {Promise<Folder>} */
export const createFolder = (name) => request("/api/folders", { method: "POST", json: { name } });

/** @param {string} id @param {string} name @returns {Promise<Folder>} */
export const renameFolder = (id, name) => request(folderPath(id), { method: "PATCH", json: { name } });

/** @param {string} id */
export const deleteFolder = (id) => request(folderPath(id), { method: "DELETE", as: "none" });

/**
 * One archive of several videos. It may be large and slow: it has no deadline but a signal, and tells how far it is.
 * @param {{job_ids: string[], include: string[]}} body
 * @param {{signal: AbortSignal, onBytes: (bytes: number, all: number) => void}} watch
 * @returns {Promise<{blob: Blob, name: string}>}
 */
export async function exportJobs(body, { signal, onBytes }) {
  const answer = await fetch("/api/exports", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/zip, application/problem+json" },
    body: JSON.stringify(body),
    signal,
  }).catch((cause) => {
    if (signal.aborted) throw cause;
    throw new ApiError({ code: "offline", detail: "" });
  });
  if (!answer.ok || !answer.body) throw await problemOf(answer);
  let bytes = 0;
  const all = Number(answer.headers.get("Content-Length") ?? 0);
  const counter = new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      onBytes(bytes, all);
      controller.enqueue(chunk);
    },
  });
  const counted = new Response(answer.body.pipeThrough(counter), { headers: { "Content-Type": "application/zip" } });
  const name = /filename\*=UTF-8''([^;]+)/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "videos.zip";
  return { blob: await counted.blob(), name: decodeURIComponent(name) };
}
