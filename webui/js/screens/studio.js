/**
 * `#/` and `#/jobs/<id>`, the Studio: who speaks, what is said, how it is made, and the video that comes of it.
 */
import { fill, h } from "../lib/dom.js";
import { Generate } from "../ui/generate.js";
import { History } from "../ui/history.js";
import { Options } from "../ui/options.js";
import { Portraits } from "../ui/portraits.js";
import { ScriptEditor } from "../ui/script-editor.js";
import { Speakers } from "../ui/speakers.js";
import { Stage } from "../ui/stage.js";
import { Voices } from "../ui/voices.js";

/** @type {[string, CustomElementConstructor][]} */
const ELEMENTS = [
  ["aio-portraits", Portraits],
  ["aio-speakers", Speakers],
  ["aio-voices", Voices],
  ["aio-script", ScriptEditor],
  ["aio-options", Options],
  ["aio-generate", Generate],
  ["aio-stage", Stage],
  ["aio-history", History],
];

for (const [name, constructor] of ELEMENTS) customElements.define(name, constructor);

/**
 * A part of the composer beneath its heading.
 * @param {string} name
 * @param {string} title  key
 * @param {...Node} parts
 */
function card(name, title, ...parts) {
  return h(
    "section",
    { class: `card ${name}`, "aria-labelledby": `${name}-title` },
    h("h2", { id: `${name}-title`, t: title, tabindex: name === "who" && "-1" }),
    ...parts,
  );
}

export default class StudioScreen extends HTMLElement {
  connectedCallback() {
    if (this.childElementCount) return;
    this.classList.add("studio");
    const stage = new Stage();
    stage.setAttribute("role", "region");
    stage.setAttribute("aria-labelledby", "stage-title");
    fill(
      this,
      card(
        "who",
        "who.title",
        h("h3", { class: "field-label", t: "portraits.title" }),
        Object.assign(new Portraits(), { id: "portraits" }),
        h("h3", { class: "field-label", t: "voices.title" }),
        new Speakers(),
        Object.assign(new Voices(), { id: "voices" }),
      ),
      h("div", { class: "compose" }, card("what", "what.title", new ScriptEditor()), card("how", "how.title", new Options()), new Generate()),
      stage,
      h("section", { class: "history", "aria-labelledby": "history-title" }, h("h2", { id: "history-title", t: "history.title" }), new History()),
    );
  }
}
