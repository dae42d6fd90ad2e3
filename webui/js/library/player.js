/**
 * The finished video with a switch for its subtitles.
 */
import { h } from "../lib/dom.js";
import { player } from "../ui/job-result.js";

/** @typedef {import("../types.js").Job} Job */

/** @param {Job} job */
export function subtitledPlayer(job) {
  const video = player(job);
  const track = video.textTracks[0];
  if (!track) return { video, control: null };
  const tick = h("input", { type: "checkbox", id: `subtitles-${job.job_id}`, checked: job.output.subtitles === "file" });
  tick.addEventListener("change", () => {
    track.mode = tick.checked ? "showing" : "hidden";
  });
  // The player's own menu may switch them too.
  video.textTracks.addEventListener("change", () => {
    tick.checked = track.mode === "showing";
  });
  return { video, control: h("label", { class: "tick", for: tick.id }, tick, h("span", { t: "result.subtitles" })) };
}
