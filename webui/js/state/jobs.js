/**
 * The jobs that the page knows. The service holds the truth; this is a copy, kept fresh by
 * `LiveFeed`. Fires `change` whenever a job came, changed or went.
 */
import * as api from "../api/endpoints.js";

/** @typedef {import("../types.js").Job} Job */
/** @typedef {import("../types.js").JobPatch} JobPatch */
/** @typedef {import("../types.js").StageName} StageName */

/** As many as the first snapshot of the event stream brings. */
const PAGE_SIZE = 20;

/** @type {StageName[]} */
export const STAGES = ["script", "speech", "video", "finish"];

/** @param {{status: string}} job */
export const isFinished = (job) => ["completed", "failed", "cancelled"].includes(job.status);

/** @param {{status: string}} job */
export const isActive = (job) => !isFinished(job);

/** Events after which work is done again, so that the percentage may really fall. */
const STEPS_BACK = new Set(["fallback", "retry_scheduled", "lost", "released"]);

/**
 * An answer that was asked for earlier may arrive after newer news: while a job runs, its percentage
 * does not fall.
 * @param {Job} known
 * @param {Job} next
 */
const steady = (known, next) =>
  isFinished(next) ? next.progress : Math.max(known.progress, next.progress);

class JobStore extends EventTarget {
  /** @type {Map<string, Job>} */
  #jobs = new Map();
  /** Deleted here: late news about them must not bring them back. @type {Set<string>} */
  #gone = new Set();
  /** Being read, and whether it changed again meanwhile. @type {Map<string, boolean>} */
  #fetching = new Map();
  /** @type {string|null} */
  #cursor = null;
  hasMore = false;
  loaded = false;

  /** Newest first. @returns {Job[]} */
  list() {
    return [...this.#jobs.values()].sort(
      (a, b) => b.created_at.localeCompare(a.created_at) || b.job_id.localeCompare(a.job_id),
    );
  }

  /** @param {string} id */
  get(id) {
    return this.#jobs.get(id);
  }

  /** Read the newest page; also what polling calls. */
  async refresh() {
    const page = await api.listJobs({ limit: PAGE_SIZE });
    // After a long absence more jobs may be new than one page holds: start over, leaving no gap.
    const gap = this.loaded && page.has_more && !page.data.some((job) => this.#jobs.has(job.job_id));
    if (gap) this.#jobs.clear();
    if (!this.loaded || gap) {
      this.#cursor = page.next_cursor;
      this.hasMore = page.has_more;
      this.loaded = true;
    }
    const seen = new Set(page.data.map((job) => job.job_id));
    this.putAll(page.data);
    // Jobs that still run but have slid off the first page are asked for one by one.
    const rest = this.list().filter((job) => isActive(job) && !seen.has(job.job_id));
    await Promise.all(rest.map((job) => this.fetch(job.job_id).catch(() => undefined)));
  }

  async loadMore() {
    const page = await api.listJobs({ limit: PAGE_SIZE, cursor: this.#cursor });
    this.#cursor = page.next_cursor;
    this.hasMore = page.has_more;
    this.putAll(page.data);
  }

  /** @param {string} id @returns {Promise<Job>} */
  async fetch(id) {
    const job = await api.getJob(id);
    this.putAll([job]);
    return job;
  }

  /** @param {Job[]} jobs */
  putAll(jobs) {
    for (const job of jobs) {
      if (this.#gone.has(job.job_id)) continue;
      const known = this.#jobs.get(job.job_id);
      // The answer was asked for before the end: what has ended stays so, for trying again makes another job.
      if (known && isFinished(known) && !isFinished(job)) continue;
      this.#jobs.set(job.job_id, known ? { ...job, progress: steady(known, job) } : job);
    }
    this.#changed();
  }

  /**
   * Merge news of one job. An unknown job, or one whose status or engine changed, is read whole: the
   * news carries neither its files nor its attempts.
   * @param {JobPatch & {type?: string}} news
   */
  merge({ type, ...patch }) {
    if (type === "deleted") {
      this.#forget(patch.job_id);
      return;
    }
    const known = this.#jobs.get(patch.job_id);
    if (known) {
      // An answer may have overtaken the event: what has ended stays so.
      if (isFinished(known) && !(patch.status && isFinished({ status: patch.status }))) return;
      const next = { ...known, ...patch };
      if (!STEPS_BACK.has(type ?? "")) next.progress = steady(known, next);
      if (patch.stage && !patch.stages) next.stages = stagesAt(patch.stage);
      this.#jobs.set(patch.job_id, next);
      this.#changed();
    }
    const turned = known && (differs(known, patch, "status") || differs(known, patch, "selected_engine") || STEPS_BACK.has(type ?? ""));
    if (!known || turned) {
      void this.#fetchQuietly(patch.job_id);
    }
  }

  /** @param {string} id */
  async #fetchQuietly(id) {
    if (this.#gone.has(id)) return;
    if (this.#fetching.has(id)) {
      this.#fetching.set(id, true);
      return;
    }
    this.#fetching.set(id, false);
    try {
      await this.fetch(id);
    } catch (error) {
      // The next poll reads it again.
      console.info(`job ${id} could not be read yet`, error);
    }
    const again = this.#fetching.get(id);
    this.#fetching.delete(id);
    if (again) await this.#fetchQuietly(id);
  }

  /** @param {object} body @param {string} key @returns {Promise<Job>} */
  async create(body, key) {
    const { job_id } = await api.createJob(body, key);
    return this.fetch(job_id);
  }

  /** @param {string} id */
  async cancel(id) {
    this.putAll([await api.cancelJob(id)]);
  }

  /** @param {string} id @param {{engine?: string}} [options] @returns {Promise<Job>} */
  async retry(id, options) {
    const { job_id } = await api.retryJob(id, options);
    return this.fetch(job_id);
  }

  /** @param {string} id */
  async delete(id) {
    await api.deleteJob(id);
    this.#forget(id);
  }

  /** @param {string} id */
  #forget(id) {
    this.#gone.add(id);
    this.#jobs.delete(id);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {Job} known @param {JobPatch} patch @param {"status"|"selected_engine"} name */
const differs = (known, patch, name) => patch[name] !== undefined && patch[name] !== known[name];

/** @param {StageName} stage @returns {Job["stages"]} */
function stagesAt(stage) {
  const at = STAGES.indexOf(stage);
  return STAGES.map((name, n) => ({ name, status: n < at ? "completed" : n === at ? "running" : "pending" }));
}

export const jobs = new JobStore();
