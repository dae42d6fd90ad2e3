/**
 * One model: what it is, what it needs and has, how far its download is, and what can be done with it.
 */
import { fill, h } from "../lib/dom.js";
import { duration, percent } from "../lib/format.js";
import { isChinese, t } from "../lib/i18n.js";
import { size } from "../lib/size.js";
import { icon } from "../ui/icons.js";
import { details, problemBox } from "../ui/problem.js";

/** @typedef {import("../types-system.js").FullModel} Model */
/** @typedef {"download"|"pause"|"resume"|"verify"|"delete"} Action */

/**
 * @typedef {object} Surroundings
 * @property {Map<string, Model>} models  by id
 * @property {number} room  bytes that a download may take
 * @property {boolean} offline
 * @property {(action: Action, model: Model) => void} act
 */

/** States in which a part of it is here and a bar tells how much. */
const COMING = ["downloading", "verifying", "paused"];
/** Files of one model that are listed one by one; a tokenizer may have dozens. */
const MOST_FILES = 40;

/** @param {Model} model */
export const modelName = (model) => (isChinese() ? model.name_zh : model.name_en);

/** @param {Model} model */
const share = (model) => (model.bytes ? Math.min(100, (model.downloaded_bytes / model.bytes) * 100) : 0);

/** @param {Model} model */
function pace(model) {
  if (model.state === "verifying") return t("modelpage.hashing");
  if (model.waiting) return t("modelpage.waiting");
  const speed = model.speed_bytes_s ? t("models.speed", { size: size(model.speed_bytes_s) }) : "";
  const left = model.eta_s !== null ? t("models.left", { time: duration(model.eta_s) }) : "";
  const here = t("modelpage.so_far", { here: size(model.downloaded_bytes), all: size(model.bytes) });
  return [percent(share(model)), here, speed, left].filter(Boolean).join(" · ");
}

export class ModelRow {
  element = h("li", { class: "model" });
  #built = "";
  /** @type {HTMLProgressElement|null} */
  #bar = null;
  /** @type {HTMLElement|null} */
  #pace = null;

  /** @param {Model} model @param {Surroundings} around */
  update(model, around) {
    const { downloaded_bytes: _d, speed_bytes_s: _s, eta_s: _e, to_fetch_bytes: _t, ...steady } = model;
    const others = model.requires.map((id) => around.models.get(id)?.state);
    const built = JSON.stringify([steady, others, this.#canFetch(model, around), document.documentElement.lang]);
    if (built !== this.#built) {
      this.#built = built;
      this.#build(model, around);
    }
    if (this.#bar && this.#pace) {
      const words = pace(model);
      this.#bar.value = share(model);
      this.#bar.setAttribute("aria-valuetext", words);
      this.#pace.textContent = words;
    }
  }

  /** @param {Model} model @param {Surroundings} around */
  #canFetch(model, around) {
    return !around.offline && model.to_fetch_bytes <= around.room;
  }

  /** @param {Model} model @param {Surroundings} around */
  #build(model, around) {
    const name = modelName(model);
    const look = model.state === "ready" ? "badge-ok" : ["damaged", "failed"].includes(model.state) ? "badge-error" : COMING.includes(model.state) ? "badge-run" : "badge-idle";
    const isComing = COMING.includes(model.state);
    this.#bar = isComing ? h("progress", { class: "model-bar", max: 100, tLabel: ["models.progress", { name }] }) : null;
    this.#pace = isComing ? h("p", { class: "quiet steady" }) : null;
    const focused = document.activeElement?.getAttribute("data-act");
    this.element.dataset.model = model.id;
    this.element.dataset.state = model.state;
    fill(
      this.element,
      h(
        "div",
        { class: "model-head" },
        h("h4", {}, name),
        h("span", { class: `badge ${look}`, t: `model_state.${model.state}` }, model.state === "ready" && icon("check")),
      ),
      h("p", { class: "model-facts quiet" }, size(model.bytes), " · ", licence(model)),
      this.#needs(model, around),
      this.#bar,
      this.#pace,
      model.error && problemBox({ ...model.error }),
      h("div", { class: "card-actions" }, ...this.#actions(model, around, name)),
      fileList(model),
    );
    if (focused) /** @type {HTMLElement|null} */ (this.element.querySelector(`[data-act="${CSS.escape(focused)}"]`))?.focus();
  }

  /** The models that come along. @param {Model} model @param {Surroundings} around */
  #needs(model, around) {
    if (!model.requires.length) return null;
    const parts = model.requires.map((id) => {
      const other = around.models.get(id);
      const isHere = other?.state === "ready";
      return h(
        "li",
        { "data-here": String(isHere) },
        icon(isHere ? "check" : "download"),
        h("span", {}, other ? `${modelName(other)} (${size(other.bytes)})` : id),
        h("span", { class: "sr-only", t: isHere ? "model_state.ready" : "model_state.absent" }),
      );
    });
    return h("div", {}, h("p", { class: "field-label", t: "modelpage.needs" }), h("ul", { class: "model-needs" }, ...parts));
  }

  /** @param {Model} model @param {Surroundings} around @param {string} name */
  #actions(model, around, name) {
    /** @param {Action} action @param {import("../lib/dom.js").TextKey} key @param {string} [look] */
    const button = (action, key, look = "") =>
      h("button", {
        type: "button",
        class: `button button-small ${look}`,
        "data-act": `${model.id}/${action}`,
        t: key,
        onclick: () => around.act(action, model),
      }, h("span", { class: "sr-only" }, `${name}: `));
    const remove = button("delete", "confirm.delete", "button-quiet");
    switch (model.state) {
      case "downloading":
        return [button("pause", "models.pause")];
      case "verifying":
        return [];
      case "paused":
        return [button("resume", "models.resume"), remove];
      case "ready":
        return [
          model.usable ? null : this.#download(model, around, button),
          button("verify", "modelpage.verify"),
          remove,
        ];
      default:
        return [this.#download(model, around, button), model.downloaded_bytes > 0 && remove];
    }
  }

  /**
   * @param {Model} model
   * @param {Surroundings} around
   * @param {(action: Action, key: import("../lib/dom.js").TextKey) => HTMLElement} button
   */
  #download(model, around, button) {
    const made = button("download", ["modelpage.download", { size: size(model.to_fetch_bytes) }]);
    if (this.#canFetch(model, around)) return made;
    // It still answers: the service says the same with its reason.
    const why = around.offline ? h("p", { class: "quiet", t: "modelpage.offline" }) : h("p", { class: "quiet", t: ["modelpage.no_room", { size: size(model.to_fetch_bytes), room: size(Math.max(0, around.room)) }] });
    why.id = `why-${model.id}`;
    made.setAttribute("aria-disabled", "true");
    made.setAttribute("aria-describedby", why.id);
    return h("div", { class: "card-actions" }, made, why);
  }
}

/** @param {Model} model */
function licence(model) {
  // Only a web address becomes a link, whatever a catalogue says.
  if (!/^https:\/\//.test(model.licence_url)) return h("span", {}, model.licence);
  return h("a", { href: model.licence_url, target: "_blank", rel: "noopener noreferrer", tTitle: "modelpage.licence" }, model.licence);
}

/** What lies where, and how it was proved. @param {Model} model */
function fileList(model) {
  const adopted = model.files.filter((file) => file.source === "this computer").length;
  const rows = model.files.slice(0, MOST_FILES).map((file) =>
    h(
      "li",
      {},
      h("code", {}, file.path),
      h("span", { class: "quiet" }, ` ${size(file.bytes)} · `),
      h("span", { class: "quiet", t: `modelpage.file_${file.state}` }),
      file.verified_by && h("span", { class: "quiet" }, " · ", h("span", { t: `modelpage.by_${file.verified_by}` })),
      file.source && h("span", { class: "quiet" }, " · ", file.source === "this computer" ? h("span", { t: "modelpage.from_here" }) : file.source === "here" ? h("span", { t: "modelpage.was_here" }) : file.source),
    ),
  );
  const rest = model.files.length - rows.length;
  const box = details(
    adopted > 0 && h("p", { t: ["modelpage.adopted", { n: adopted, all: model.files.length }] }),
    model.note && h("p", { lang: "en" }, model.note),
    h("ul", { class: "model-files" }, ...rows, rest > 0 && h("li", { t: ["modelpage.more_files", { n: rest }] })),
  );
  return box;
}
