/**
 * Times and lengths in the words of the current language.
 */
import { locale, t } from "./i18n.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Seconds as a key and its values, in the two largest units: "8 s", "2 min 5 s", "2 min", "3 h 10 min", "1 d 4 h".
 * @param {number} seconds
 * @returns {[string, import("./i18n.js").Params]}
 */
export function durationText(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  const [d, h, m, s] = [Math.floor(whole / DAY), Math.floor((whole % DAY) / HOUR), Math.floor((whole % HOUR) / MINUTE), whole % MINUTE];
  if (d) return h ? ["time.days_hours", { d, h }] : ["time.days", { d }];
  if (h) return m ? ["time.hours_minutes", { h, m }] : ["time.hours", { h }];
  if (m) return s ? ["time.minutes", { m, s }] : ["time.minutes_only", { m }];
  return ["time.seconds", { s }];
}

/** @param {number} seconds */
export const duration = (seconds) => t(...durationText(seconds));

/** Steps of "… ago", largest first, in seconds. @type {[Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [["day", DAY], ["hour", HOUR], ["minute", MINUTE]];

/**
 * "3 minutes ago"; older than a week as a date.
 * @param {string} iso
 */
export function ago(iso) {
  const then = new Date(iso);
  const seconds = (Date.now() - then.getTime()) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds > 7 * DAY) return new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(then);
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  for (const [unit, size] of STEPS) {
    if (seconds >= size) return relative.format(-Math.floor(seconds / size), unit);
  }
  return t("time.now");
}

/** @param {number} value */
export const number = (value) => new Intl.NumberFormat(locale()).format(value);

/** @param {number} value 0..100 */
export const percent = (value) => `${Math.round(value)}%`;
