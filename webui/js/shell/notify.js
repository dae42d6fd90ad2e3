/**
 * A notification of the desktop when a video has ended and nobody is looking. Allowed by a click, never asked for unasked.
 */
import { h } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { readPref, writePref } from "../lib/prefs.js";
import { firstLine } from "../lib/text.js";
import { isActive, isFinished, jobs } from "../state/jobs.js";
import { openJob } from "../state/route.js";

const PREF = "notify";

/** Some browsers, Chrome on Android among them, have the class and refuse to make one; only trying tells. */
let isRefused = false;

/** Browsers let pages on other machines notify only over HTTPS. */
const isPossible = () => isSecureContext && "Notification" in window && !isRefused;
const isOn = () => isPossible() && Notification.permission === "granted" && readPref(PREF, false);

/** Ended while the page was open, told once. @type {Set<string>} */
const running = new Set();

function look() {
  for (const job of jobs.list()) {
    if (isActive(job)) running.add(job.job_id);
    else if (running.delete(job.job_id) && isFinished(job) && job.status !== "cancelled") tell(job);
  }
}

/** @param {import("../types.js").Job} job */
function tell(job) {
  if (!isOn() || document.hasFocus()) return;
  /** @type {Notification} */
  let note;
  try {
    note = new Notification(t(`status.${job.status}`), { body: job.title || firstLine(job.script_input), tag: job.job_id, icon: "/static/favicon.svg" });
  } catch (error) {
    console.info("this browser makes no notifications", error);
    isRefused = true;
    writePref(PREF, false);
    return;
  }
  note.addEventListener("click", () => {
    window.focus();
    openJob(job.job_id);
    note.close();
  });
}

/** A tick that turns it on, and why it cannot be. */
export function notifySwitch() {
  const why = h("p", { class: "quiet", id: "notify-why" });
  const input = h("input", { type: "checkbox", id: "notify", "aria-describedby": "notify-why" });
  const show = () => {
    input.checked = isOn();
    const reason = isRefused ? "queue.notify_impossible" : !isPossible() ? "queue.notify_insecure" : Notification.permission === "denied" ? "queue.notify_denied" : null;
    input.disabled = !isPossible();
    why.hidden = !reason;
    if (reason) bindText(why, reason);
  };
  input.addEventListener("change", async () => {
    if (input.checked && Notification.permission === "default") await Notification.requestPermission();
    writePref(PREF, input.checked);
    show();
  });
  jobs.addEventListener("change", () => {
    look();
    if (isRefused) show();
  });
  show();
  return h("div", { class: "notify" }, h("label", { class: "tick", for: "notify" }, input, h("span", { t: "queue.notify" })), why);
}
