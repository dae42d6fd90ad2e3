/**
 * Talking to the service: JSON in, JSON out, and every failure as one `ApiError`.
 */

import { locale } from "../lib/i18n.js";

/** Requests that are answered from the database or memory. */
const SHORT_TIMEOUT_MS = 30_000;
/** Uploads and previews wait for a worker, which may have to load its model first. */
export const LONG_TIMEOUT_MS = 180_000;

/** A request that did not work, in the shape of the service's problem documents. */
export class ApiError extends Error {
  /**
   * @param {{code: string, detail: string, hint?: string|null, status?: number, request_id?: string,
   *   errors?: {field: string, message: string}[]}} problem
   */
  constructor(problem) {
    super(problem.detail);
    this.name = "ApiError";
    this.code = problem.code;
    this.detail = problem.detail;
    this.hint = problem.hint ?? null;
    this.status = problem.status ?? 0;
    this.reference = problem.request_id ?? null;
    this.fields = problem.errors ?? [];
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<ApiError>}
 */
export async function problemOf(answer) {
  try {
    const body = await answer.json();
    if (typeof body?.code === "string") return new ApiError({ ...body, status: answer.status });
  } catch {
    // Not a problem document: a proxy or a crash answered. The status is all there is to say.
  }
  return new ApiError({ code: "bad_answer", detail: `HTTP ${answer.status}`, status: answer.status });
}

/**
 * @typedef {object} RequestOptions
 * @property {string} [method]
 * @property {unknown} [json]  body, sent as JSON
 * @property {FormData} [form] body, sent as multipart
 * @property {Record<string, string>} [headers]
 * @property {number} [timeoutMs]
 * @property {"json"|"blob"|"none"} [as]
 * @property {boolean} [open]  answered without a key: a 401 says that the key itself is wrong
 */

/** Asks the user for the key; set by the login panel. @type {(() => Promise<void>)|null} */
let askForKey = null;

/** @param {() => Promise<void>} ask  resolves when the session is open */
export function onLoginNeeded(ask) {
  askForKey = ask;
}

/**
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<any>}
 */
export async function request(path, options = {}) {
  let answer = await send(path, options);
  if (answer.status === 401 && !options.open && askForKey) {
    await askForKey();
    answer = await send(path, options);
  }
  if (!answer.ok) throw await problemOf(answer);
  if (options.as === "none" || answer.status === 204) return null;
  try {
    return options.as === "blob" ? await answer.blob() : await answer.json();
  } catch {
    throw new ApiError({ code: "offline", detail: "" });
  }
}

/**
 * @param {string} path
 * @param {RequestOptions} options
 * @returns {Promise<Response>}
 */
async function send(path, options) {
  const headers = {
    Accept: "application/json, application/problem+json, */*",
    "Accept-Language": locale(),
    ...options.headers,
  };
  /** @type {RequestInit} */
  const init = {
    method: options.method ?? "GET",
    headers,
    body: options.form ?? null,
    cache: "no-store",
    signal: AbortSignal.timeout(options.timeoutMs ?? SHORT_TIMEOUT_MS),
  };
  if (options.json !== undefined) {
    /** @type {Record<string, string>} */ (headers)["Content-Type"] = "application/json";
    init.body = JSON.stringify(options.json);
  }
  try {
    return await fetch(path, init);
  } catch (cause) {
    const late = cause instanceof DOMException && cause.name === "TimeoutError";
    throw new ApiError({ code: late ? "no_answer" : "offline", detail: "" });
  }
}

/** Keys for `Idempotency-Key`; `randomUUID` exists only on HTTPS and loopback, this everywhere. */
export function requestKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
