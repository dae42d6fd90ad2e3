/**
 * `<aio-model-sources>`: from where models are fetched, and where else on this computer they may lie.
 */
import { ApiError } from "../api/client.js";
import { listSettings, saveSettings } from "../api/system.js";
import { fill, freshId, h } from "../lib/dom.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { t } from "../lib/i18n.js";

/** @typedef {import("../types-system.js").Setting} Setting */

/** The order in which sources are asked, for each choice; one of one's own is kept as it is. @type {Record<string, string>} */
const ORDERS = {
  usual: "hf_endpoint,modelscope,hf-mirror,huggingface,url",
  auto: "auto",
  mirror: "hf-mirror,modelscope,huggingface,url",
  hub: "huggingface,hf-mirror,modelscope,url",
};
const NAMES = ["MODEL_SOURCES", "HF_ENDPOINT", "MODEL_FOLDERS"];

export class ModelSources extends HTMLElement {
  #said = h("div", {});
  #fields = h("div", { class: "source-fields" });

  connectedCallback() {
    if (!this.childElementCount) {
      this.classList.add("card");
      fill(this, h("h3", { t: "modelpage.sources_title" }), h("p", { class: "quiet", t: "modelpage.sources_intro" }), this.#said, this.#fields);
    }
    void this.#load();
  }

  async #load() {
    fill(this.#said);
    try {
      const { data } = await listSettings();
      const known = new Map(data.map((setting) => [setting.name, setting]));
      fill(this.#fields, ...NAMES.map((name) => this.#field(known.get(name))));
    } catch (error) {
      // With a key that may not change settings there is nothing to choose.
      this.hidden = error instanceof ApiError && [401, 403, 404].includes(error.status);
      fill(this.#said, problemBox(asProblem(error)));
    }
  }

  /** @param {Setting|undefined} setting */
  #field(setting) {
    if (!setting) return null;
    const id = freshId("source");
    const value = String(setting.value ?? "");
    const isFixed = setting.source === "env";
    const why = isFixed ? h("p", { class: "quiet", id: `${id}-why`, t: "settings.from_env" }) : h("p", { class: "quiet", id: `${id}-why`, t: `modelpage.hint_${setting.name}` });
    const control =
      setting.name === "MODEL_SOURCES"
        ? this.#order(id, value)
        : h("input", { id, class: "input", type: "text", value, maxlength: 2000, spellcheck: "false", autocomplete: "off" });
    control.setAttribute("aria-describedby", why.id);
    control.disabled = isFixed;
    control.addEventListener("change", () => void this.#save(setting.name, control.value));
    return h("div", { class: "field" }, h("label", { class: "field-label", for: id, t: `modelpage.label_${setting.name}` }), control, why);
  }

  /** @param {string} id @param {string} value */
  #order(id, value) {
    const options = Object.entries(ORDERS).map(([choice, order]) => h("option", { value: order, t: `modelpage.source_${choice}` }));
    if (!Object.values(ORDERS).includes(value)) options.push(h("option", { value }, value));
    const select = h("select", { id, class: "input" }, ...options);
    select.value = value;
    return select;
  }

  /** @param {string} name @param {string} value */
  async #save(name, value) {
    try {
      await saveSettings({ [name]: value.trim() || null });
      fill(this.#said, h("p", { class: "notice notice-done" }, icon("check"), h("span", { t: "settings.saved" })));
      announce(t("settings.saved"));
    } catch (error) {
      fill(this.#said, problemBox(asProblem(error)));
    }
  }
}
