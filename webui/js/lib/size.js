/**
 * Bytes in the words of the current language.
 */
import { number } from "./format.js";
import { t } from "./i18n.js";

const GB = 1e9;
const MB = 1e6;

/** "1.4 GB", "38 MB"; what is smaller is "less than 1 MB". @param {number} bytes */
export function size(bytes) {
  if (bytes >= GB) return t("models.gigabytes", { n: number(Math.round((bytes / GB) * 10) / 10) });
  if (bytes >= MB || bytes === 0) return t("models.megabytes", { n: number(Math.round(bytes / MB)) });
  return t("disk.less");
}

/** Memory as its makers count it: 24 GiB is 24 GB on the box. @param {number} mib */
export const memory = (mib) => t("models.gigabytes", { n: number(Math.round((mib / 1024) * 10) / 10) });
