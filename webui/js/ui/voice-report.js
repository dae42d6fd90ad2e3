/**
 * What was found in a recording: its waveform with the part that is used, figures, and what is wrong with it.
 */
import { h } from "../lib/dom.js";
import { duration, number } from "../lib/format.js";
import { hasText, t } from "../lib/i18n.js";
import { icon } from "./icons.js";

/** @typedef {import("../types.js").VoiceReport} VoiceReport */
/** @typedef {import("../types.js").Similarity} Similarity */

const SVG = "http://www.w3.org/2000/svg";
/** Units of the drawing; it is stretched to the width that there is. */
const HEIGHT = 48;
const MIN_PEAK = 0.02;

/** @param {VoiceReport} report */
export function voiceReport(report) {
  return h("div", { class: "voice-report" }, report.waveform?.length ? waveform(report) : null, ...voiceFigures(report));
}

/** The same without the drawing. @param {VoiceReport} report */
export function voiceFigures(report) {
  const findings = report.findings ?? [];
  return [
    h("dl", { class: "facts" }, ...facts(report)),
    findings.length > 0 && h("ul", { class: "findings", tLabel: "report.findings" }, ...findings.map(finding)),
    findings.length === 0 && report.speech_s !== undefined && h("p", { class: "finding-ok", t: "report.clean" }, icon("check")),
  ];
}

/** @param {Similarity|null} similarity */
export function similarityBadge(similarity) {
  if (!similarity) return null;
  const look = { close: "badge-ok", fair: "badge-run", far: "badge-draft" }[similarity.badge] ?? "badge-idle";
  return h(
    "span",
    { class: `badge ${look}`, tTitle: ["similarity.score", { score: similarity.score.toFixed(2) }] },
    h("span", { t: `similarity.badge_${similarity.badge}` }),
  );
}

/** Peaks as bars; those outside the used spans are pale. @param {VoiceReport} report */
function waveform(report) {
  const peaks = report.waveform ?? [];
  const length = report.duration_s ?? 0;
  const spans = report.used_spans ?? [];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${peaks.length} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "waveform");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", t("report.waveform", { time: duration(length) }));
  const bars = { used: "", unused: "" };
  peaks.forEach((peak, n) => {
    const at = ((n + 0.5) / peaks.length) * length;
    const half = (Math.max(MIN_PEAK, Math.min(1, peak)) * HEIGHT) / 2;
    const isUsed = spans.length === 0 || spans.some(([start, end]) => at >= start && at <= end);
    bars[isUsed ? "used" : "unused"] += `M${n + 0.5} ${HEIGHT / 2 - half}V${HEIGHT / 2 + half}`;
  });
  for (const [name, data] of Object.entries(bars)) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", data);
    path.setAttribute("class", `bars-${name}`);
    svg.append(path);
  }
  return svg;
}

/** @param {VoiceReport} report */
function facts(report) {
  /** @type {[string, string|null][]} */
  const rows = [
    ["report.speech", report.speech_s === undefined ? null : duration(report.speech_s)],
    ["report.used", report.used_s === undefined ? null : duration(report.used_s)],
    ["report.level", typeof report.loudness_lufs === "number" ? t("report.lufs", { n: number(Math.round(report.loudness_lufs)) }) : null],
    ["report.noise", typeof report.snr_db === "number" ? t("report.decibels", { n: number(Math.round(report.snr_db)) }) : null],
    ["report.bandwidth", typeof report.bandwidth_hz === "number" ? t("report.kilohertz", { n: number(Math.round(report.bandwidth_hz / 100) / 10) }) : null],
  ];
  return rows.filter(([, value]) => value !== null).map(([key, value]) => h("div", {}, h("dt", { t: key }), h("dd", {}, value)));
}

/** In the page's words by its code; the service's own where the page has none. @param {NonNullable<VoiceReport["findings"]>[number]} found */
function finding(found) {
  const isKnown = hasText(`finding.${found.code}`);
  return h(
    "li",
    { class: `finding finding-${found.severity}` },
    icon(found.severity === "warning" ? "warning" : "info"),
    h(
      "div",
      {},
      isKnown ? h("p", { t: `finding.${found.code}` }) : h("p", { lang: "en" }, found.message),
      isKnown ? h("p", { class: "quiet", t: `finding_fix.${found.code}` }) : h("p", { class: "quiet", lang: "en" }, found.fix),
    ),
  );
}
