/**
 * "Use these settings again": the Studio's form filled with what a video was made from.
 */
import { getJobRequest } from "../api/library.js";
import { go } from "../shell/router.js";
import { closeJob } from "../state/route.js";
import { form } from "../state/form.js";
import { firstLine } from "../lib/text.js";
import { confirmLoss } from "../ui/confirm.js";

/** @typedef {import("../types.js").Job} Job */

/** Ask before another text takes the place of what was written. @param {string} next @returns {Promise<boolean>} */
export async function mayReplaceScript(next) {
  const { script } = form.value;
  if (!script.trim() || script === next) return true;
  return confirmLoss({ title: "script.replace_title", body: ["script.replace_body", { line: firstLine(script) }], action: "script.replace" });
}

/** @param {Job} job @returns {Promise<boolean>} whether the user wanted it */
export async function reuseSettings(job) {
  const request = await getJobRequest(job.job_id);
  if (!(await mayReplaceScript(job.script_input))) return false;
  // The request knows what the job's view leaves out.
  form.useJob(job);
  form.set({
    prompt: request.prompt ?? "",
    speechEngine: request.speech_engine ?? "auto",
    faceIndex: request.face_index ?? null,
    allowFallback: request.fallback?.allow ?? true,
  });
  closeJob();
  go("#/");
  return true;
}
