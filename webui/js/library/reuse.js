/**
 * "Use these settings again": the Studio's form filled with what a video was made from.
 */
import { getJobRequest } from "../api/library.js";
import { go } from "../shell/router.js";
import { closeJob } from "../state/route.js";
import { form } from "../state/form.js";

/** @typedef {import("../types.js").Job} Job */

/** @param {Job} job */
export async function reuseSettings(job) {
  const request = await getJobRequest(job.job_id);
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
}
