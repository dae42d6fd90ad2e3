/**
 * Where the script is kept: on the server, or in this browser alone.
 */
import { fill, h } from "../lib/dom.js";
import { draftSync } from "../state/draft-sync.js";
import { icon } from "./icons.js";

export function savedMark() {
  const mark = h("p", { class: "saved quiet" });
  const show = () => {
    const { state } = draftSync;
    mark.classList.toggle("is-warning", state === "local");
    if (!state) return;
    fill(mark, icon(state === "saved" ? "check" : state === "saving" ? "pen" : "info"), h("span", { t: `studio.draft_${state}` }));
  };
  draftSync.addEventListener("change", show);
  show();
  return mark;
}
