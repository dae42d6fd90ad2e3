/**
 * The order of the queue, as the service hands jobs out: the higher priority first, then who came first.
 */

/** @typedef {import("../types.js").Job} Job */

/** What the service allows. */
const MOST = 100;

/**
 * Who waits, next one first. @param {Job[]} jobs
 */
export function waiting(jobs) {
  return jobs
    .filter((job) => job.status === "queued")
    .sort((a, b) => (b.priority ?? 0) - (a.priority ?? 0) || a.created_at.localeCompare(b.created_at) || a.job_id.localeCompare(b.job_id));
}

/**
 * The priorities that put one job a place forward or back; as few as possible are changed.
 * @param {Job[]} order  as `waiting` gives it
 * @param {string} id
 * @param {-1|1} by  -1 is forward
 * @returns {{id: string, priority: number}[]}  empty where there is no place to go
 */
export function moved(order, id, by) {
  const at = order.findIndex((job) => job.job_id === id);
  const to = at + by;
  if (at < 0 || to < 0 || to >= order.length) return [];
  const wanted = [...order];
  [wanted[at], wanted[to]] = [wanted[to], wanted[at]];
  const changes = [];
  let below = -Infinity;
  /** @type {Job|null} */
  let next = null;
  for (const job of wanted.reverse()) {
    const has = job.priority ?? 0;
    // Of two with the same priority the elder goes first by itself.
    const needs = next && job.created_at >= next.created_at ? below + 1 : below;
    const priority = Math.min(MOST, Math.max(has, needs));
    if (priority !== has) changes.push({ id: job.job_id, priority });
    below = priority;
    next = job;
  }
  return changes;
}
