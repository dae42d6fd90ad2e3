/**
 * The engines' panel: what is ready, what is not, why, and how to mend it.
 */
import { h, byId, fill } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { library } from "../state/library.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";

/** @typedef {import("../types.js").Engine} Engine */

/** @param {Engine} engine */
function card(engine) {
  return h(
    "li",
    { class: "engine", "data-ready": String(engine.ready) },
    h(
      "div",
      { class: "engine-head" },
      h("h3", {}, engine.title),
      h("span", { class: "quiet", t: `engine.kind_${engine.kind}` }),
      h("span", { class: `badge ${engine.ready ? "badge-ok" : "badge-idle"}`, t: `engine.state_${engine.state}` }, icon(engine.ready ? "check" : "info")),
    ),
    engine.reason && h("p", {}, engine.reason),
    engine.fix && h("p", { class: "engine-fix" }, h("strong", { t: "engine.fix" }), " ", engine.fix),
    engine.disclosure && h("p", { class: "quiet" }, engine.disclosure),
  );
}

async function refresh() {
  const list = byId("engines-list");
  try {
    await library.loadEngines();
  } catch (error) {
    fill(list, h("li", {}, problemBox(asProblem(error))));
  }
}

export function openEngines() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("engines-dialog"));
  if (!dialog.open) dialog.showModal();
  void refresh();
}

/** The button in the header and the dialog it opens. */
export function startEngines() {
  const summary = byId("engines-summary");
  const button = byId("engines-button");
  const dialog = /** @type {HTMLDialogElement} */ (byId("engines-dialog"));
  byId("engines-close").append(icon("close"));
  byId("engines-close").addEventListener("click", () => dialog.close());
  byId("engines-refresh").addEventListener("click", () => void refresh());
  button.addEventListener("click", openEngines);
  // A click on the backdrop reaches the dialog itself, never its content.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  const update = () => {
    const ready = library.engines.filter((engine) => engine.ready);
    button.dataset.ready = String(ready.length > 0);
    if (ready.length === 0) bindText(summary, library.engines.length ? "engines.none_ready" : "engines.unknown");
    else bindText(summary, "engines.ready", { names: ready.map((engine) => engine.title).join(t("list.comma")) });
    fill(byId("engines-list"), ...library.engines.map(card));
  };
  library.addEventListener("engines", update);
  document.addEventListener("localechange", update);
}
