/**
 * The videos that match what is looked for, page by page, kept fresh while jobs run. Fires `change`.
 */
import { searchJobs } from "../api/library.js";
import { readPref, writePref } from "../lib/prefs.js";
import { jobs } from "../state/jobs.js";

/** @typedef {import("../types.js").Job} Job */
/** @typedef {import("../types-library.js").JobFilter} JobFilter */

const PAGE_SIZE = 24;
/** The most that one question may ask for. */
const MOST_AT_ONCE = 100;
/** News come in bursts; one look is enough for all. */
const LOOK_AFTER_MS = 500;

/** @type {JobFilter} */
export const EVERYTHING = { q: "", status: "", engine: "", starred: null, folderId: null, draft: null, sort: "newest" };

class JobList extends EventTarget {
  /** @type {JobFilter} */
  filter = restore();
  /** @type {Job[]} */
  items = [];
  /** How many match in all; null before it is known. @type {number|null} */
  total = null;
  hasMore = false;
  loading = false;
  loaded = false;
  /** @type {unknown} */
  error = null;
  /** @type {string|null} */
  #cursor = null;
  /** Answers to older questions are dropped. */
  #asked = 0;
  /** The jobs that the store knew at the last look. @type {Set<string>} */
  #known = new Set();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #onJobs = () => this.#follow();

  /** Begin to follow the jobs. */
  open() {
    jobs.addEventListener("change", this.#onJobs);
    this.#known = new Set(jobs.list().map((job) => job.job_id));
    return this.refresh();
  }

  close() {
    jobs.removeEventListener("change", this.#onJobs);
    clearTimeout(this.#timer);
  }

  /** Look for something else. @param {Partial<JobFilter>} changes */
  look(changes) {
    this.filter = { ...this.filter, ...changes };
    writePref("library", this.filter);
    return this.#load(PAGE_SIZE);
  }

  /** Whether anything narrows the list. */
  get isNarrowed() {
    const { sort: _, ...given } = this.filter;
    return Object.values(given).some((value) => value !== "" && value !== null);
  }

  /** The same question again, for as many as are shown. */
  refresh() {
    return this.#load(Math.min(MOST_AT_ONCE, Math.max(PAGE_SIZE, this.items.length)));
  }

  async more() {
    if (this.loading || !this.hasMore) return;
    await this.#load(PAGE_SIZE, this.#cursor);
  }

  /** @param {string} id */
  get(id) {
    return this.items.find((job) => job.job_id === id);
  }

  /** Put a job that was changed in its place. @param {Job} job */
  put(job) {
    this.items = this.items.map((item) => (item.job_id === job.job_id ? job : item));
    if (jobs.get(job.job_id)) jobs.putAll([job]);
    this.#changed();
  }

  /** @param {number} limit @param {string|null} [cursor] */
  async #load(limit, cursor = null) {
    const mine = ++this.#asked;
    this.loading = true;
    this.#changed();
    try {
      const page = await searchJobs(this.filter, { limit, cursor });
      if (mine !== this.#asked) return;
      const shown = new Set(cursor ? this.items.map((job) => job.job_id) : []);
      this.items = [...(cursor ? this.items : []), ...page.data.filter((job) => !shown.has(job.job_id))];
      this.#cursor = page.next_cursor;
      this.hasMore = page.has_more;
      this.total = page.total ?? null;
      this.error = null;
      this.loaded = true;
    } catch (error) {
      if (mine !== this.#asked) return;
      this.error = error;
    }
    this.loading = false;
    this.#changed();
  }

  /** Take what the store knows better; look again when jobs came or went. */
  #follow() {
    const now = new Set(jobs.list().map((job) => job.job_id));
    const moved = [...now].some((id) => !this.#known.has(id) && !this.get(id)) || [...this.#known].some((id) => !now.has(id));
    this.#known = now;
    const ended = this.items.some((job) => jobs.get(job.job_id) && jobs.get(job.job_id)?.status !== job.status);
    this.items = this.items.map((job) => jobs.get(job.job_id) ?? job);
    this.#changed();
    // News after a failed look: the service is back.
    if (!moved && !ended && !this.error) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), LOOK_AFTER_MS);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @returns {JobFilter} */
function restore() {
  const kept = readPref("library", EVERYTHING);
  // Words of a search are of the moment; the shelf and the order stay.
  return { ...EVERYTHING, ...kept, q: "" };
}

export const jobList = new JobList();
