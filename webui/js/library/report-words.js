/**
 * From the figures of report.json to sentences: the limits within which a video is as it should be.
 */
import { number } from "../lib/format.js";
import { t } from "../lib/i18n.js";

/** @typedef {[string, import("../lib/i18n.js").Params]} Saying */

/** Picture and sound drift visibly apart from here. */
const MOST_DRIFT_MS = 120;
/** Speech for the web lies around -16 LUFS; outside of these it is too quiet or too loud beside other videos. */
const QUIETEST_LUFS = -24;
const LOUDEST_LUFS = -11;
/** Peaks above are cut off by some players. */
const HIGHEST_PEAK_DB = -0.5;
/** More silence than speech. */
const MOST_SILENCE = 0.5;

/** @param {unknown} value @returns {value is number} */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {number} value @param {number} digits */
const rounded = (value, digits) => number(Number(value.toFixed(digits)));

/**
 * @param {Record<string, any>} report
 * @returns {{findings: Saying[], rows: [string, string][], digest: string|null}}
 */
export function readReport(report) {
  const { video = {}, audio = {} } = report;
  const drift = isNumber(report.av_difference_s) ? report.av_difference_s * 1000 : null;
  /** @type {[boolean, Saying][]} */
  const checks = [
    [drift !== null && Math.abs(drift) > MOST_DRIFT_MS, ["lib.finding_drift", { ms: Math.round(Math.abs(drift ?? 0)) }]],
    [isNumber(audio.loudness_lufs) && audio.loudness_lufs < QUIETEST_LUFS, ["lib.finding_quiet", {}]],
    [isNumber(audio.loudness_lufs) && audio.loudness_lufs > LOUDEST_LUFS, ["lib.finding_loud", {}]],
    [isNumber(audio.peak_db) && audio.peak_db > HIGHEST_PEAK_DB, ["lib.finding_peak", {}]],
    [isNumber(audio.silence_share) && audio.silence_share > MOST_SILENCE, ["lib.finding_silence", { percent: Math.round((audio.silence_share ?? 0) * 100) }]],
  ];
  /** @type {[string, string|null][]} */
  const rows = [
    ["lib.report_picture", isNumber(video.width) ? `${video.width} × ${video.height}` : null],
    ["lib.report_fps", isNumber(video.fps) ? t("lib.per_second", { n: rounded(video.fps, 2) }) : null],
  ];
  return {
    findings: checks.filter(([is]) => is).map(([, saying]) => saying),
    rows: /** @type {[string, string][]} */ (rows.filter(([, value]) => value !== null)),
    digest: report.sha256 ?? null,
  };
}
