/**
 * A line under the header while the queue is paused, by a person or by a full disk, and the way on.
 */
import { getQueue, resumeQueue } from "../api/endpoints.js";
import { append, byId, debounce, fill, h } from "../lib/dom.js";
import { jobs } from "../state/jobs.js";
import { asProblem, problemBox } from "./problem.js";

/** Several jobs often change at once. */
const LOOK_AFTER_MS = 400;

/** @typedef {import("../types.js").Queue} Queue */

/** Who wants to know. @type {((queue: Queue) => void)[]} */
const listeners = [];

/** @param {(queue: Queue) => void} listener */
export const onQueue = (listener) => void listeners.push(listener);

/** @param {Queue} queue */
export function showQueue(queue) {
  for (const listener of listeners) listener(queue);
  const strip = byId("queue-strip");
  strip.hidden = !queue.paused;
  if (!queue.paused) {
    fill(strip);
    return;
  }
  const resume = h("button", { type: "button", class: "button button-small", t: "queue.resume" });
  resume.addEventListener("click", async () => {
    try {
      showQueue(await resumeQueue());
    } catch (error) {
      append(strip, [problemBox(asProblem(error))]);
    }
  });
  fill(
    strip,
    h("p", {}, h("strong", { t: "queue.paused" }), " ", h("span", { t: "queue.paused_why" })),
    queue.reason && h("p", { class: "quiet in-english", lang: "en" }, queue.reason),
    resume,
  );
}

/** Look again whenever jobs wait or fail: both can be signs of a pause. */
export function startQueueStrip() {
  let seen = "";
  const look = debounce(async () => {
    try {
      showQueue(await getQueue());
    } catch (error) {
      // The connection strip says what is wrong; the next change looks again.
      console.info("the queue could not be read", error);
    }
  }, LOOK_AFTER_MS);
  jobs.addEventListener("change", () => {
    const now = jobs
      .list()
      .filter((job) => job.status === "queued" || job.error?.code === "disk_full")
      .map((job) => job.job_id + job.status)
      .join();
    if (now === seen) return;
    seen = now;
    look();
  });
}
