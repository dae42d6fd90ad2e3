/**
 * `#/system/settings`: what may be changed while the service runs, in groups; saved together or not at all.
 */
import { ApiError } from "../api/client.js";
import { listSettings, saveSettings } from "../api/system.js";
import { fill, freshId, h } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { Pane } from "./pane.js";
import { SettingField } from "./setting-field.js";

/** @typedef {import("../types-system.js").Setting} Setting */

/** In the order in which they are shown. */
const GROUPS = ["models", "scripts", "keeping", "work", "network", "log"];

export class SettingsPane extends Pane {
  #groups = h("div", { class: "setting-groups" });
  #note = h("p", { class: "quiet", role: "status" });
  #save = h("button", { class: "button button-primary", t: "settings.save" });
  #form = h(
    "form",
    {
      class: "settings-form",
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void this.#send();
      },
    },
    this.#groups,
    h("div", { class: "settings-bar" }, this.#note, this.#save),
  );
  /** @type {SettingField[]} */
  #fields = [];
  /** @type {Setting[]} */
  #settings = [];
  #isSaving = false;

  build() {
    fill(this, h("p", { class: "quiet", t: "settings.intro" }), this.said, this.#form);
  }

  begin() {
    // What was typed and not saved stays while one looks at another tab.
    if (!this.#fields.some((field) => field.isChanged)) void this.#load();
  }

  async #load() {
    await this.load(async () => {
      this.#settings = (await listSettings()).data;
      this.render();
    });
  }

  render() {
    this.#draw(this.#changed());
  }

  #changed() {
    return this.#fields.filter((field) => field.isChanged);
  }

  /** @param {SettingField[]} unsaved  what was typed into these is typed into the new ones */
  #draw(unsaved) {
    if (!this.#settings.length) return;
    this.#fields = this.#settings.map((setting) => new SettingField(setting, () => this.#settle()));
    for (const old of unsaved) this.#fields.find((field) => field.setting.name === old.setting.name)?.takeOver(old);
    const known = new Set(GROUPS);
    const groups = GROUPS.map((group) => this.#group(group, this.#fields.filter((field) => field.setting.group === group)));
    const others = this.#fields.filter((field) => !known.has(field.setting.group));
    fill(this.#groups, ...groups, this.#group("other", others));
    this.#settle();
  }

  /** @param {string} group @param {SettingField[]} fields */
  #group(group, fields) {
    if (!fields.length) return null;
    const id = freshId("settings");
    return h(
      "section",
      { class: "card setting-group", "aria-labelledby": id },
      h("h3", { id, t: `settings.group_${group}` }),
      ...fields.map((field) => field.element),
    );
  }

  #settle() {
    const changed = this.#changed();
    const restart = changed.some((field) => field.setting.restart) || this.#settings.some((setting) => setting.pending);
    this.#save.setAttribute("aria-disabled", String(!changed.length || this.#isSaving));
    if (changed.length) bindText(this.#note, restart ? "settings.unsaved_restart" : "settings.unsaved", { n: changed.length });
    else bindText(this.#note, restart ? "settings.waiting_restart" : "settings.nothing_changed");
  }

  async #send() {
    const changed = this.#changed();
    if (this.#isSaving || !changed.length || !changed.every((field) => field.check())) return;
    this.#isSaving = true;
    this.#settle();
    try {
      fill(this.said);
      this.#settings = (await saveSettings(Object.fromEntries(changed.map((field) => [field.setting.name, field.value])))).data;
      const sent = new Set(changed.map((field) => field.setting.name));
      this.#draw(this.#changed().filter((field) => !sent.has(field.setting.name)));
      announce(t("settings.saved"));
      fill(this.said, h("p", { class: "notice notice-done" }, icon("check"), h("span", { t: "settings.saved" })));
    } catch (error) {
      const problem = asProblem(error);
      fill(this.said, problemBox(problem));
      if (error instanceof ApiError) this.#mark(problem.fields);
    } finally {
      this.#isSaving = false;
      this.#settle();
    }
  }

  /** Beside the field what is wrong with it. @param {{field: string, message: string}[]} wrong */
  #mark(wrong) {
    for (const field of this.#changed()) {
      const found = wrong.find((item) => item.field === "values." + field.setting.name);
      if (found) field.complain(found.message);
    }
  }
}
