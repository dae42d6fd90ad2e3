/**
 * Engines in words: what is ready, what is not, why, and how to mend it; and the mark in the rail.
 */
import { byId, h } from "../lib/dom.js";
import { bindText, hasText, t } from "../lib/i18n.js";
import { engineTitle, library } from "../state/library.js";
import { icon } from "./icons.js";
import { details } from "./problem.js";
import { engineTrouble } from "./wording.js";

/** @typedef {import("../types.js").Engine} Engine */

/** @param {Engine} engine @param {{level?: "h3"|"h4"}} [options] */
export function engineCard(engine, { level = "h3" } = {}) {
  return h(
    "li",
    { class: "engine", "data-ready": String(engine.ready) },
    h(
      "div",
      { class: "engine-head" },
      h(level, {}, engineTitle(engine.name)),
      h("span", { class: "quiet", t: `engine.kind_${engine.kind}` }),
      h("span", { class: `badge ${engine.ready ? "badge-ok" : "badge-idle"}`, t: `engine.state_${engine.state}` }, icon(engine.ready ? "check" : "info")),
    ),
    ...reasons(engine),
    disclosure(engine),
  );
}

/** @param {Engine} engine */
function reasons(engine) {
  const trouble = engineTrouble(engine);
  const served = [engine.reason, engine.fix].filter((text) => text !== null);
  if (!trouble) {
    return [
      engine.reason && h("p", {}, engine.reason),
      engine.fix && h("p", { class: "engine-fix" }, h("strong", { t: "engine.fix" }), " ", engine.fix),
    ];
  }
  return [
    h("p", { t: trouble.cause }),
    h("p", { class: "engine-fix" }, h("strong", { t: "engine.fix" }), " ", h("span", { t: trouble.fix })),
    served.length > 0 && servedWords(engine, served),
  ];
}

/** @param {Engine} engine @param {string[]} sentences */
function servedWords(engine, sentences) {
  const box = details(...sentences.map((text) => h("p", { lang: "en" }, text)));
  // Of an engine that is not there, there is no more to tell than the English page says itself.
  box.classList.toggle("not-in-english", engine.state === "NOT_INSTALLED");
  return box;
}

/** Where the makers of an engine can be found: its licence asks for the link. @type {Record<string, string>} */
const HOMES = { wan2gp: "https://github.com/deepbeepmeep/Wan2GP" };

/** @param {Engine} engine */
function disclosure(engine) {
  const key = `engine.disclosure_${engine.name}`;
  if (!engine.disclosure) return null;
  const said = hasText(key) ? h("p", { class: "quiet", t: key }) : h("p", { class: "quiet" }, engine.disclosure);
  return h("div", {}, said, homeOf(engine.name));
}

/** A link to the makers, or nothing. @param {string} name */
export function homeOf(name) {
  const home = HOMES[name];
  return home ? h("a", { href: home, target: "_blank", rel: "noopener noreferrer", class: "quiet" }, home.replace("https://", "")) : null;
}

/** The way to all engines, with what to do about each. */
export const enginesLink = () => h("a", { class: "link-button", href: "#/system/engines", t: "engine.open" });

/** The mark in the rail: whether any engine is ready, and which. */
export function startEnginesMark() {
  const summary = byId("engines-summary");
  const link = byId("engines-link");
  link.querySelector(".tool-mark")?.append(icon("engine"), h("span", { class: "tool-dot" }));
  const update = () => {
    const ready = library.engines.filter((engine) => engine.ready);
    link.dataset.ready = String(ready.length > 0);
    if (ready.length === 0) bindText(summary, library.engines.length ? "engines.none_ready" : "engines.unknown");
    else bindText(summary, "engines.ready", { names: ready.map((engine) => engineTitle(engine.name)).join(t("list.comma")) });
    link.title = summary.textContent ?? "";
  };
  library.addEventListener("engines", update);
  document.addEventListener("localechange", update);
  update();
}
