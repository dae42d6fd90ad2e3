/**
 * The files of a finished video, each with a way to take it home.
 */
import { h } from "../lib/dom.js";
import { icon } from "../ui/icons.js";

/** @typedef {import("../types.js").Job} Job */

/** Artifacts in the order in which they are wanted: name, key, icon, ending. @type {[string, string, Parameters<typeof icon>[0], string][]} */
const FILES = [
  ["video", "lib.file_video", "studio", "mp4"],
  ["audio", "lib.file_audio", "audio", "wav"],
  ["subtitles_srt", "lib.file_srt", "text", "srt"],
  ["subtitles_vtt", "lib.file_vtt", "text", "vtt"],
  ["thumbnail", "lib.file_thumbnail", "person", "jpg"],
  ["timings", "lib.file_timings", "text", "json"],
  ["speech_report", "lib.file_speech_report", "text", "json"],
  ["script", "lib.file_script", "pen", "json"],
  ["provenance", "lib.file_provenance", "info", "json"],
  ["report", "lib.file_report", "info", "json"],
];

/** @param {Job} job */
export const fileList = (job) =>
  h(
    "ul",
    { class: "file-list" },
    ...FILES.map(([name, key, mark, ending]) => {
      const address = job.artifacts[name];
      return (
        address &&
        h(
          "li",
          {},
          h("a", { class: "file-row", href: address, download: fileName(job, name, ending) }, icon(mark), h("span", { t: key }), h("span", { class: "quiet file-kind" }, ending.toUpperCase()), icon("download")),
        )
      );
    }),
  );

/** Several of them have the same ending. @param {Job} job @param {string} name @param {string} ending */
const fileName = (job, name, ending) => [job.job_id, ...(ending === "json" ? [name] : []), ending].join(".");
