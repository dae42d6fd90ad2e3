/**
 * What another window wrote while this one did: nothing typed is lost, one of the two is chosen.
 */
import { fill, h } from "../lib/dom.js";
import { firstLine } from "../lib/text.js";
import { draftSync } from "../state/draft-sync.js";
import { icon } from "./icons.js";

/** The buttons go with the notice: the keyboard goes on in the script. @param {() => void} decide */
function settle(decide) {
  decide();
  document.getElementById("script")?.focus();
}

export function draftRival() {
  const place = h("div", { class: "script-rival", role: "status" });
  const show = () => {
    const { rival } = draftSync;
    const line = rival && firstLine(Object.values(rival).find((words) => words.trim()) ?? "");
    if (place.dataset.line === (line ?? undefined)) return;
    if (line === null) delete place.dataset.line;
    else place.dataset.line = line;
    fill(
      place,
      line !== null &&
        h(
          "div",
          { class: "notice notice-draft" },
          icon("info"),
          h(
            "div",
            { class: "notice-body" },
            h("p", { class: "notice-title", t: "rival.title" }),
            h("p", { t: ["rival.other", { line }] }),
            h(
              "div",
              { class: "notice-actions" },
              h("button", { type: "button", class: "button button-small", t: "rival.swap", onclick: () => settle(() => draftSync.swapRival()) }),
              h("button", { type: "button", class: "button button-small", t: "rival.keep", onclick: () => settle(() => draftSync.dropRival()) }),
            ),
          ),
        ),
    );
  };
  draftSync.addEventListener("change", show);
  show();
  return place;
}
