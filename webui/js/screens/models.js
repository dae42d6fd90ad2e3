/**
 * `#/models`: the models, each with what it needs and has and with its download; and what takes room on the disk.
 */
import { actOnModel, deleteModel, listModels } from "../api/system.js";
import { fill, freshId, h } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { Repeat } from "../lib/repeat.js";
import { size } from "../lib/size.js";
import { DiskLedger } from "../models/disk-ledger.js";
import { ModelRow, modelName } from "../models/model-row.js";
import { ModelSources } from "../models/model-sources.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { asProblem, problemBox } from "../ui/problem.js";

/** @typedef {import("../types-system.js").FullModel} Model */
/** @typedef {import("../types-system.js").ModelList} ModelList */

customElements.define("aio-disk-ledger", DiskLedger);
customElements.define("aio-model-sources", ModelSources);

/** While something comes in; else rarely, for what a second tab or an installer changes. */
const BUSY_MS = 1000;
const IDLE_MS = 10_000;
/** In the order in which they are told. */
const PURPOSES = ["video", "voice", "writing", "listening", "other"];
const BUSY = ["downloading", "verifying"];

/** @type {Record<string, (model: Model) => boolean>} */
const SHOWN = {
  all: () => true,
  here: (model) => model.downloaded_bytes > 0,
  coming: (model) => [...BUSY, "paused", "failed"].includes(model.state),
};

/** What is here or on its way, then what the catalogue recommends, then the rest in the service's order. @param {Model} model */
function rank(model) {
  if (model.state !== "absent") return 0;
  return model.name_en.includes("(recommended)") ? 1 : 2;
}

export default class ModelsScreen extends HTMLElement {
  static css = "/static/css/models.css";

  #said = h("div", {});
  #free = h("p", { class: "quiet" });
  #list = h("div", { class: "model-groups" });
  #filter = "all";
  #ledger = new DiskLedger();
  /** @type {Map<string, ModelRow>} */
  #rows = new Map();
  /** @type {ModelList|null} */
  #models = null;
  /** @type {Map<string, string>} */
  #states = new Map();
  #groups = "";
  #asking = new Repeat(
    () => this.#load(),
    () => (this.#models?.data.some((model) => BUSY.includes(model.state)) ? BUSY_MS : IDLE_MS),
  );
  #onLocale = () => this.#render();

  connectedCallback() {
    if (!this.childElementCount) this.#build();
    document.addEventListener("localechange", this.#onLocale);
    this.#asking.start();
  }

  disconnectedCallback() {
    document.removeEventListener("localechange", this.#onLocale);
    this.#asking.stop();
  }

  #build() {
    this.classList.add("screen", "models-screen");
    const group = freshId("model-filter");
    const choices = Object.keys(SHOWN).map((name) =>
      h(
        "label",
        { class: "segment" },
        h("input", {
          type: "radio",
          class: "sr-only",
          name: group,
          value: name,
          checked: name === this.#filter,
          onchange: () => {
            this.#filter = name;
            this.#render();
          },
        }),
        h("span", { t: `modelpage.show_${name}` }),
      ),
    );
    fill(
      this,
      h(
        "header",
        { class: "screen-head" },
        h("div", { class: "screen-heading" }, h("h2", { tabindex: "-1", class: "screen-title", t: "modelpage.title" }), h("p", { class: "quiet", t: "models.intro" })),
        h("button", { type: "button", class: "button models-jump", t: "modelpage.to_disk", onclick: () => this.#showDisk() }),
      ),
      h(
        "div",
        { class: "models-columns" },
        h(
          "section",
          { class: "models-main", "aria-labelledby": "models-list-title" },
          h(
            "div",
            { class: "screen-head" },
            h("div", {}, h("h3", { id: "models-list-title", t: "modelpage.list" }), this.#free),
            h("div", { class: "segments", role: "radiogroup", tLabel: "modelpage.show" }, ...choices),
          ),
          this.#said,
          this.#list,
        ),
        h("div", { class: "models-side" }, this.#ledger, new ModelSources()),
      ),
    );
  }

  /** On narrow screens the disk lies far below. */
  #showDisk() {
    this.#ledger.scrollIntoView({ block: "start" });
    this.#ledger.querySelector("button")?.focus({ preventScroll: true });
  }

  async #load() {
    try {
      this.#models = await listModels();
      this.#tell(this.#models.data);
      this.#render();
    } catch (error) {
      if (!this.#models) fill(this.#list, problemBox(asProblem(error)));
    }
  }

  /** Say which downloads have ended since the last look. @param {Model[]} models */
  #tell(models) {
    let hasChanged = false;
    for (const model of models) {
      const before = this.#states.get(model.id);
      this.#states.set(model.id, model.state);
      if (before === undefined || before === model.state) continue;
      hasChanged = true;
      if (BUSY.includes(before)) announce(`${modelName(model)}: ${t(`model_state.${model.state}`)}`);
    }
    if (hasChanged) void this.#ledger.load();
  }

  #render() {
    const list = this.#models;
    if (!list) return;
    const room = list.free_bytes - list.reserve_bytes;
    bindText(this.#free, list.offline ? "modelpage.offline" : "modelpage.room", list.offline ? undefined : { size: size(Math.max(0, room)) });
    const around = {
      models: new Map(list.data.map((model) => [model.id, model])),
      room,
      offline: list.offline,
      /** @param {import("../models/model-row.js").Action} action @param {Model} model */
      act: (action, model) => void this.#act(action, model),
    };
    const shown = list.data.filter(SHOWN[this.#filter]);
    for (const model of shown) {
      const row = this.#rows.get(model.id) ?? new ModelRow();
      this.#rows.set(model.id, row);
      row.update(model, around);
    }
    const groups = JSON.stringify([shown.map((model) => model.id), this.#filter]);
    if (groups === this.#groups && this.#list.childElementCount) return;
    this.#groups = groups;
    if (!shown.length) {
      fill(this.#list, h("p", { class: "empty", t: `modelpage.none_${this.#filter}` }));
      return;
    }
    // What others bring along would only be in the way among what one chooses.
    const parts = new Set(list.data.flatMap((model) => model.requires));
    const chosen = shown.filter((model) => !parts.has(model.id)).sort((a, b) => rank(a) - rank(b));
    fill(
      this.#list,
      ...PURPOSES.map((purpose) => this.#group(`model_purpose.${purpose}`, chosen.filter((model) => model.purpose === purpose))),
      this.#group("modelpage.parts", shown.filter((model) => parts.has(model.id))),
    );
  }

  /** @param {string} title  key @param {Model[]} models */
  #group(title, models) {
    if (!models.length) return null;
    const id = freshId("models-of");
    return h(
      "section",
      { class: "model-group", "aria-labelledby": id },
      h("h3", { id, class: "model-group-title", t: title }),
      h("ul", { class: "model-list" }, ...models.map((model) => this.#rows.get(model.id)?.element)),
    );
  }

  /** @param {import("../models/model-row.js").Action} action @param {Model} model */
  async #act(action, model) {
    try {
      fill(this.#said);
      if (action === "delete") {
        if (!(await this.#isSure(model))) return;
        await deleteModel(model.id);
      } else {
        await actOnModel(model.id, action);
      }
    } catch (error) {
      fill(this.#said, problemBox(asProblem(error)));
      this.#said.scrollIntoView({ block: "nearest" });
    }
    await this.#asking.now();
  }

  /** @param {Model} model */
  #isSure(model) {
    const users = this.#models?.data.filter((other) => other.state === "ready" && other.requires.includes(model.id)) ?? [];
    const name = modelName(model);
    if (users.length) {
      const names = users.map(modelName).join(t("list.comma"));
      return confirmLoss({ title: "models.delete_title", body: ["modelpage.delete_needed", { name, names }], action: "confirm.delete" });
    }
    return confirmLoss({
      title: "models.delete_title",
      body: ["modelpage.delete_body", { name, size: size(model.downloaded_bytes) }],
      action: "confirm.delete",
    });
  }
}
