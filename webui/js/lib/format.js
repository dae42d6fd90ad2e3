/**
 * Times and lengths in the words of the current language.
 */
import { locale, t } from "./i18n.js";

/**
 * Seconds as "8 s" or "2 min 5 s".
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return t("time.seconds", { s: whole });
  return t("time.minutes", { m: Math.floor(whole / 60), s: whole % 60 });
}

/** Steps of "… ago", largest first, in seconds. @type {[Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [["day", 86_400], ["hour", 3600], ["minute", 60]];

/**
 * "3 minutes ago"; older than a week as a date.
 * @param {string} iso
 */
export function ago(iso) {
  const then = new Date(iso);
  const seconds = (Date.now() - then.getTime()) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds > 7 * 86_400) return new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(then);
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
