/**
 * `#/system/keys`: keys for programs that call the API, each with a name, to be revoked one by one.
 */
import { addKey, deleteKey, listKeys } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { shownOnce } from "../ui/shown-once.js";
import { Pane, once, table } from "./pane.js";

/** @typedef {import("../types-system.js").ApiKey} ApiKey */

const MAX_NAME = 100;

export class KeysPane extends Pane {
  #name = h("input", { id: "key-name", class: "input", maxlength: MAX_NAME, required: true, autocomplete: "off", tPlaceholder: "keys.name_hint" });
  #secret = h("div", {});
  #list = h("div", {});
  /** @type {ApiKey[]|null} */
  #keys = null;

  build() {
    fill(
      this,
      h("p", { class: "quiet", t: "keys.intro" }),
      this.said,
      this.#secret,
      h(
        "form",
        { class: "inline-form", onsubmit: once(() => this.#add()) },
        h("div", { class: "field" }, h("label", { class: "field-label", for: "key-name", t: "keys.name" }), this.#name),
        h("button", { class: "button button-tonal", t: "keys.create" }, icon("plus")),
      ),
      this.#list,
    );
  }

  begin() {
    void this.#load();
  }

  end() {
    // A secret does not wait on the screen for the next person.
    fill(this.#secret);
  }

  async #load() {
    await this.load(async () => {
      this.#keys = (await listKeys()).data;
      this.render();
    });
  }

  render() {
    if (!this.#keys) return;
    if (!this.#keys.length) {
      fill(this.#list, h("p", { class: "empty", t: "keys.none" }));
      return;
    }
    fill(
      this.#list,
      table(
        "keys.title",
        ["keys.name", "keys.begins", "keys.created", "keys.used", "system.action"],
        this.#keys.map((key) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, key.name),
            h("td", {}, h("code", {}, `${key.prefix}…`)),
            h("td", {}, ago(key.created_at)),
            h("td", {}, key.last_used_at ? ago(key.last_used_at) : t("keys.never")),
            h("td", {}, h("button", { type: "button", class: "button button-small", t: "keys.revoke", onclick: once(() => this.#revoke(key)) }, h("span", { class: "sr-only" }, `${key.name}: `))),
          ),
        ),
      ),
    );
  }

  async #add() {
    const name = this.#name.value.trim();
    if (!name) {
      this.#name.focus();
      return;
    }
    const made = await this.attempt(() => addKey(name));
    if (!made) return;
    this.#name.value = "";
    fill(this.#secret, shownOnce({ title: "keys.made", secret: made.key, onDone: () => fill(this.#secret) }));
    announce(t("keys.made"));
    await this.#load();
  }

  /** @param {ApiKey} key */
  async #revoke(key) {
    const sure = await confirmLoss({ title: "keys.revoke_title", body: ["keys.revoke_body", { name: key.name }], action: "keys.revoke" });
    if (!sure) return;
    if ((await this.attempt(async () => (await deleteKey(key.key_id), true))) === null) return;
    announce(t("keys.revoked"));
    await this.#load();
  }
}
