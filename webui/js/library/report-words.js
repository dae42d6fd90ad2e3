/**
 * From the figures and warnings of report.json to words.
 */
import { duration, number } from "../lib/format.js";
import { t } from "../lib/i18n.js";

/** @typedef {import("../types-library.js").QualityReport} QualityReport */
/** @typedef {[string, import("../lib/i18n.js").Params]} Saying */

const MS = 1000;
const MB = 1_000_000;
/** Said beside the player already. */
const SAID_ELSEWHERE = ["draft", "fallback"];

/** Texts of the warnings. @type {Record<string, string>} */
const WARNINGS = {
  lengths_differ: "lib.finding_drift",
  quiet: "lib.finding_quiet",
  loud: "lib.finding_loud",
  clipping: "lib.finding_peak",
  mostly_silent: "lib.finding_silence",
  not_measured: "lib.finding_unmeasured",
};

/** @param {number} value @param {number} [digits] */
const rounded = (value, digits = 0) => number(Number(value.toFixed(digits)));

/** @param {number|null} value @param {(value: number) => string} say */
const told = (value, say) => (value === null || value === undefined ? null : say(value));

/**
 * What is not as it should be.
 * @param {QualityReport} report
 * @returns {Saying[]}
 */
export function findingsOf(report) {
  const params = {
    ms: Math.round(Math.abs(report.length_difference_seconds) * MS),
    percent: Math.round((report.silence_share ?? 0) * 100),
    lufs: report.loudness_lufs === null ? "–" : rounded(report.loudness_lufs, 1),
  };
  return report.warnings.filter((code) => !SAID_ELSEWHERE.includes(code)).map((code) => (WARNINGS[code] ? [WARNINGS[code], params] : ["lib.finding_other", { code }]));
}

/**
 * What was measured.
 * @param {QualityReport} report
 * @returns {[string, string][]} key of the label, value
 */
export function figuresOf(report) {
  /** @type {[string, string|null][]} */
  const rows = [
    ["lib.report_length", duration(report.video_seconds)],
    ["lib.report_picture", `${report.width} × ${report.height}`],
    ["lib.report_fps", t("lib.per_second", { n: rounded(report.fps, 2) })],
    ["lib.report_frames", number(report.frames)],
    ["lib.report_drift", t("lib.milliseconds", { n: number(Math.round(report.length_difference_seconds * MS)) })],
    ["lib.report_loudness", told(report.loudness_lufs, (value) => t("report.lufs", { n: rounded(value, 1) }))],
    ["lib.report_peak", told(report.true_peak_dbtp, (value) => t("report.decibels", { n: rounded(value, 1) }))],
    ["lib.report_silence", told(report.silence_share, (value) => `${Math.round(value * 100)}%`)],
    ["lib.report_coding", [report.video_codec, report.audio_codec].filter(Boolean).join(" · ") || null],
    ["lib.report_size", t("models.megabytes", { n: rounded(report.size_bytes / MB, 1) })],
    ["lib.report_bitrate", t("lib.kilobits", { n: number(Math.round(report.bitrate_kbps)) })],
  ];
  return /** @type {[string, string][]} */ (rows.filter(([, value]) => value !== null));
}
