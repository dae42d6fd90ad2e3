/**
 * `#/` and `#/jobs/<id>`, the Studio: who speaks, what is said, how it is made, and the video that comes of it.
 */
import { fill, h } from "../lib/dom.js";
import { Generate } from "../ui/generate.js";
import { History } from "../ui/history.js";
import { Options } from "../ui/options.js";
import { savedMark } from "../ui/saved-mark.js";
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
 * @param {import("../lib/dom.js").Child} aside  beside the heading
 * @param {...Node} parts
 */
function card(name, title, aside, ...parts) {
  return h(
    "section",
    { class: `card ${name}`, "aria-labelledby": `${name}-title` },
    h("header", { class: "card-head" }, h("h2", { id: `${name}-title`, class: "step-title", t: title, tabindex: name === "who" && "-1" }), aside),
    ...parts,
  );
}

export default class StudioScreen extends HTMLElement {
  connectedCallback() {
    // It is kept while another screen is shown, and built once.
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
        null,
        h("h3", { class: "field-label", t: "portraits.title" }),
        Object.assign(new Portraits(), { id: "portraits" }),
        h("h3", { class: "field-label", t: "voices.title" }),
        new Speakers(),
        Object.assign(new Voices(), { id: "voices" }),
      ),
      card("what", "what.title", savedMark(), new ScriptEditor()),
      h("div", { class: "column" }, stage, card("how", "how.title", null, new Options())),
      new Generate(),
      h(
        "section",
        { class: "history", "aria-labelledby": "history-title" },
        h(
          "header",
          { class: "card-head" },
          h("h2", { id: "history-title", class: "step-title", t: "history.title" }),
          h("a", { class: "link-button", href: "#/library", t: "studio.library" }),
        ),
        new History(),
      ),
    );
  }
}
