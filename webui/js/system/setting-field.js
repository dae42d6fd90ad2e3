/**
 * One setting as a form control: its words, its bounds, whether it was changed, and the way back to its default.
 */
import { freshId, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { hasText, t } from "../lib/i18n.js";

/** @typedef {import("../types-system.js").Setting} Setting */
/** @typedef {string|number|boolean|null} Value */

export class SettingField {
  element;
  /** @type {HTMLInputElement|HTMLSelectElement} */
  #control;
  /** @type {string|boolean} what it showed at first */
  #before;
  #isReset = false;

  /** @param {Setting} setting @param {() => void} onChange */
  constructor(setting, onChange) {
    this.setting = setting;
    const id = freshId("setting");
    this.#control = control(setting, id);
    this.#before = this.#shown();
    this.#control.addEventListener("input", () => {
      this.#isReset = false;
      onChange();
    });
    const isFixed = setting.source === "env";
    this.#control.disabled = isFixed;
    this.#control.setAttribute("aria-describedby", `${id}-why`);
    const reset = h("button", {
      type: "button",
      class: "link-button",
      t: "settings.reset",
      onclick: () => {
        this.#isReset = true;
        this.#write(setting.default);
        onChange();
      },
    }, h("span", { class: "sr-only" }, `${setting.name}: `));
    const label = hasText(`settings.name_${setting.name}`) ? t(`settings.name_${setting.name}`) : setting.name;
    const isTick = setting.kind === "bool";
    this.element = h(
      "div",
      { class: "field setting", "data-setting": setting.name, "data-source": setting.source },
      h(
        "div",
        { class: "setting-head" },
        isTick
          ? h("label", { class: "tick" }, this.#control, h("span", {}, label))
          : h("label", { class: "setting-label", for: id }, label),
        setting.source === "page" && h("span", { class: "badge badge-run", t: "settings.changed" }),
        setting.pending && h("span", { class: "badge badge-draft", t: "settings.pending" }),
      ),
      !isTick && this.#control,
      h(
        "p",
        { class: "quiet", id: `${id}-why` },
        isFixed ? h("span", { t: "settings.from_env" }) : h("span", { t: `settings.about_${setting.name}` }),
        !isFixed && bounds(setting),
        !isFixed && setting.restart && h("span", {}, " ", h("span", { t: "settings.restart" })),
        " ",
        h("code", { class: "setting-name" }, setting.name),
      ),
      setting.source === "page" && h("div", {}, reset),
    );
  }

  /** Whether it shows something else than what is kept. */
  get isChanged() {
    return this.#isReset || this.#shown() !== this.#before;
  }

  /** What to send; null takes the default again. @returns {Value} */
  get value() {
    if (this.#isReset) return null;
    const shown = this.#shown();
    if (typeof shown === "boolean") return shown;
    if (shown.trim() === "") return null;
    return ["int", "number"].includes(this.setting.kind) ? Number(shown) : shown.trim();
  }

  /** @param {string} message  "" when it is right */
  complain(message) {
    this.#control.setCustomValidity(message);
    this.#control.setAttribute("aria-invalid", String(Boolean(message)));
    if (message) this.#control.reportValidity();
  }

  /** Show what was typed into the field that this one replaces. @param {SettingField} other */
  takeOver(other) {
    this.#isReset = other.#isReset;
    this.#write(other.#shown());
  }

  /** Whether the browser finds nothing wrong with it. */
  check() {
    this.complain("");
    return this.#control.reportValidity();
  }

  /** @returns {string|boolean} */
  #shown() {
    return this.#control instanceof HTMLInputElement && this.#control.type === "checkbox" ? this.#control.checked : this.#control.value;
  }

  /** @param {Value} value */
  #write(value) {
    if (this.#control instanceof HTMLInputElement && this.#control.type === "checkbox") this.#control.checked = Boolean(value);
    else this.#control.value = String(value ?? "");
  }
}

/** @param {Setting} setting @param {string} id */
function control(setting, id) {
  const value = setting.value ?? "";
  switch (setting.kind) {
    case "bool":
      return h("input", { id, type: "checkbox", checked: Boolean(setting.value) });
    case "choice": {
      const select = h("select", { id, class: "input" }, ...(setting.choices ?? []).map((choice) => h("option", { value: choice }, choiceName(choice))));
      select.value = String(value);
      return select;
    }
    case "int":
    case "number":
      return h("input", { id, class: "input", type: "number", value, min: setting.min, max: setting.max, step: setting.kind === "int" ? 1 : "any", required: true });
    default: {
      const isHidden = setting.kind === "secret" || (setting.set && setting.value === null);
      return h("input", {
        id,
        class: "input",
        type: isHidden ? "password" : "text",
        value,
        maxlength: 2000,
        spellcheck: "false",
        autocomplete: isHidden ? "new-password" : "off",
        tPlaceholder: isHidden && setting.set ? "settings.is_set" : "settings.not_set",
      });
    }
  }
}

/** @param {string} choice */
const choiceName = (choice) => {
  const key = `settings.choice_${choice.toLowerCase()}`;
  return hasText(key) ? t(key) : choice;
};

/** @param {Setting} setting */
function bounds({ min, max }) {
  const low = typeof min === "number";
  const high = typeof max === "number";
  if (low && high) return h("span", {}, " ", h("span", { t: ["settings.between", { min: number(min), max: number(max) }] }));
  return null;
}
