/**
 * The dialog that has a script written: topic, language, length; the text comes while it is written.
 */
import { listScriptModels } from "../api/endpoints.js";
import { writeScript } from "../api/script-stream.js";
import { ApiError } from "../api/client.js";
import { h, fill } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { durationText } from "../lib/format.js";
import { form, speakerNames } from "../state/form.js";
import { mayReplaceScript } from "../library/reuse.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";

const SECONDS = [15, 30, 60, 120, 300];

export function openScriptWriter() {
  const dialog = new ScriptWriter();
  document.body.append(dialog.element);
  dialog.element.showModal();
  void dialog.findModel();
}

class ScriptWriter {
  /** What stops the model that is writing now. @type {AbortController|null} */
  #writing = null;
  #topic = h("textarea", { id: "writer-topic", class: "input", rows: 3, maxlength: 4000, tPlaceholder: "writer.topic_hint" });
  #language = h("select", { id: "writer-language", class: "input" }, ...["auto", "zh", "en", "ja"].map((code) => h("option", { value: code, t: `language.${code}` })));
  #seconds = h("select", { id: "writer-seconds", class: "input" }, ...SECONDS.map((s) => h("option", { value: s, t: durationText(s) })));
  #text = h("div", { class: "written", "aria-live": "polite", tLabel: "writer.text" });
  #model = h("p", { class: "quiet", t: "writer.looking" });
  #problem = h("div", {});
  #write = h("button", { type: "submit", class: "button button-primary" });
  #use = h("button", { type: "button", class: "button", t: "writer.use", hidden: true, onclick: () => void this.#take() });

  constructor() {
    this.element = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "writer-title" },
      h(
        "form",
        { onsubmit: (/** @type {Event} */ event) => this.#submit(event) },
        h(
          "div",
          { class: "dialog-head" },
          h("h2", { id: "writer-title", t: "writer.title" }),
          h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => this.element.close() }, icon("close")),
        ),
        h("label", { class: "field", for: "writer-topic" }, h("span", { class: "field-label", t: "writer.topic" }), this.#topic),
        h(
          "div",
          { class: "field-pair" },
          h("label", { class: "field", for: "writer-language" }, h("span", { class: "field-label", t: "options.language" }), this.#language),
          h("label", { class: "field", for: "writer-seconds" }, h("span", { class: "field-label", t: "writer.length" }), this.#seconds),
        ),
        this.#model,
        this.#problem,
        this.#text,
        h("div", { class: "dialog-actions" }, this.#use, this.#write),
      ),
    );
    this.#seconds.value = "30";
    this.#language.value = form.value.language;
    this.element.addEventListener("close", () => {
      this.#writing?.abort();
      this.element.remove();
    });
    this.#show();
  }

  /** Which model will write, or how to get one. */
  async findModel() {
    try {
      const { data, chosen } = await listScriptModels();
      const model = data.find((item) => item.id === chosen);
      if (model) {
        bindText(this.#model, "writer.by", { model: model.model, source: t(`script_source.${model.source}`) });
        return;
      }
      fill(
        this.#model,
        h("span", { t: "writer.no_model" }),
        " ",
        h("a", { class: "link-button", href: "#/models", t: "models.open", onclick: () => this.element.close() }),
      );
      delete this.#model.dataset.i18n;
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  #show() {
    bindText(this.#write, this.#writing ? "writer.stop" : "writer.write");
    this.#use.hidden = this.#writing !== null || !this.#text.textContent?.trim();
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    if (this.#writing) this.#writing.abort();
    else if (!this.#topic.value.trim()) this.#topic.focus();
    else void this.#run();
  }

  async #run() {
    const writing = new AbortController();
    this.#writing = writing;
    fill(this.#problem);
    fill(this.#text);
    this.#show();
    try {
      const order = {
        topic: this.#topic.value.trim(),
        language: this.#language.value,
        seconds: Number(this.#seconds.value),
        ...speakerNames(),
      };
      for await (const { event, data } of writeScript(order, writing.signal)) {
        if (event === "delta") this.#text.append(data.text);
        if (event === "restart") fill(this.#text);
        // The whole text at the end, cleaned of what models add.
        if (event === "done") this.#text.textContent = data.text;
        if (event === "error") throw new ApiError(data);
      }
      announce(t("writer.done"));
    } catch (error) {
      if (!writing.signal.aborted) fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#writing = null;
      this.#show();
    }
  }

  async #take() {
    const script = this.#text.textContent?.trim() ?? "";
    if (!(await mayReplaceScript(script))) return;
    form.set({ script });
    this.element.close();
    document.getElementById("script")?.focus();
  }
}
