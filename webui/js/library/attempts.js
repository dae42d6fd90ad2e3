/**
 * Every engine that was tried for a video, in order, with what went wrong and what was changed.
 */
import { h } from "../lib/dom.js";
import { engineTitle } from "../state/library.js";
import { icon } from "../ui/icons.js";
import { details } from "../ui/problem.js";
import { causeOf, hasFailed } from "../ui/wording.js";

/** @typedef {import("../types.js").Attempt} Attempt */

/** @param {Attempt[]} attempts */
export const attemptList = (attempts) => h("ol", { class: "attempts" }, ...attempts.map(attemptItem));

/** @param {Attempt} attempt */
function attemptItem(attempt) {
  const failed = hasFailed(attempt);
  return h(
    "li",
    { class: failed ? "attempt is-failed" : "attempt" },
    icon(failed ? "warning" : "check"),
    h(
      "div",
      {},
      h("p", {}, h("strong", {}, engineTitle(attempt.engine)), " ", h("span", { class: "quiet", t: `stage.${attempt.stage}` })),
      failed && h("p", { t: causeOf(attempt.code ?? "unknown", attempt.engine) }),
      attempt.change && h("p", { class: "quiet" }, h("span", { t: "lib.attempt_changed" }), " ", h("span", { lang: "en" }, attempt.change)),
      failed && attempt.detail && details(h("p", { lang: "en" }, attempt.detail)),
    ),
  );
}
