/**
 * The finished video: a player with subtitles, and the files to take home.
 */
import { h } from "../lib/dom.js";
import { homeOf } from "./engines.js";
import { icon } from "./icons.js";

/** @typedef {import("../types.js").Job} Job */

/** The result for playing rather than saving. @param {string} url */
const inline = (url) => `${url}${url.includes("?") ? "&" : "?"}inline=1`;

/** @param {Job} job */
export function player(job) {
  const { video, thumbnail, subtitles_vtt: subtitles } = job.artifacts;
  const element = h("video", {
    class: "frame-video",
    controls: true,
    playsinline: true,
    preload: "metadata",
    poster: thumbnail,
    tLabel: "result.player",
    src: inline(video ?? ""),
  });
  if (subtitles) {
    const track = h("track", { kind: "subtitles", src: subtitles, srclang: trackLanguage(job), tLabel: "result.subtitles" });
    track.setAttribute("data-i18n-label", "result.subtitles");
    track.label = track.getAttribute("aria-label") ?? "";
    track.removeAttribute("aria-label");
    track.removeAttribute("data-i18n-aria-label");
    // Burned-in subtitles are in the picture already.
    track.default = job.output.subtitles === "file";
    element.append(track);
  }
  return element;
}

/** @param {Job} job */
function trackLanguage(job) {
  const { language } = job.voice_settings;
  return language === "auto" ? "und" : language;
}

/** Files beside the video, in order: artifact name, text key, icon. @type {[string, string, Parameters<typeof icon>[0]][]} */
const FILES = [
  ["audio", "result.audio", "audio"],
  ["subtitles_srt", "result.srt", "text"],
  ["subtitles_vtt", "result.vtt", "text"],
];

/** @param {Job} job */
export function downloads(job) {
  const others = FILES.filter(([name]) => job.artifacts[name]).map(([name, key, mark]) =>
    h("a", { class: "button", href: job.artifacts[name], download: true, t: key }, icon(mark)),
  );
  return h(
    "div",
    { class: "downloads" },
    h("a", { class: "button button-tonal", id: "download-video", href: job.artifacts.video, download: `${job.job_id}.mp4`, t: "result.download" }, icon("download")),
    ...others,
    // Its licence asks for the credit.
    job.selected_engine === "wan2gp" && h("p", { class: "quiet" }, h("span", { t: "result.powered" }), " ", homeOf("wan2gp")),
  );
}
