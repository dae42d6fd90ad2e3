/**
 * `#/system/webhooks`: addresses that are told of the end of every job, with what came of each message.
 */
import { addWebhook, deleteWebhook, listDeliveries, listWebhooks, makeWebhookSecret, testWebhook } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { shownOnce } from "../ui/shown-once.js";
import { Pane, once, table } from "./pane.js";

/** @typedef {import("../types-system.js").Webhook} Webhook */
/** @typedef {import("../types-system.js").Delivery} Delivery */

/** Each is the event `job.<name>`. */
const ENDS = ["completed", "failed", "cancelled"];
const EVENT = "job.";
/** @type {Record<string, string>} */
const LOOKS = { delivered: "badge-ok", failed: "badge-error", pending: "badge-run" };

export class WebhooksPane extends Pane {
  #url = h("input", { id: "hook-url", class: "input", type: "url", maxlength: 2048, required: true, placeholder: "https://", autocomplete: "off", spellcheck: "false" });
  #events = ENDS.map((name) => ({ name, box: h("input", { type: "checkbox", checked: true }) }));
  #secret = h("div", {});
  #list = h("ul", { class: "engines-list" });
  /** @type {Webhook[]|null} */
  #hooks = null;

  build() {
    fill(
      this,
      h("p", { class: "quiet", t: "hooks.intro" }),
      this.said,
      this.#secret,
      h(
        "form",
        { class: "inline-form", onsubmit: once(() => this.#add()) },
        h("div", { class: "field" }, h("label", { class: "field-label", for: "hook-url", t: "hooks.url" }), this.#url),
        h(
          "fieldset",
          { class: "field plain" },
          h("legend", { class: "field-label", t: "hooks.events" }),
          h("div", { class: "ticks" }, ...this.#events.map(({ name, box }) => h("label", { class: "tick" }, box, h("span", { t: `hooks.on_${name}` })))),
        ),
        h("button", { class: "button button-tonal", t: "hooks.add" }, icon("plus")),
      ),
      this.#list,
      h(
        "details",
        { class: "card" },
        h("summary", { t: "hooks.own_secret" }),
        h("p", { class: "quiet", t: "hooks.own_secret_intro" }),
        h("button", { type: "button", class: "button", t: "hooks.new_secret", onclick: once(() => this.#newSecret()) }),
      ),
    );
  }

  begin() {
    void this.#load();
  }

  end() {
    fill(this.#secret);
  }

  async #load() {
    await this.load(async () => {
      this.#hooks = (await listWebhooks()).data;
      this.render();
    });
  }

  render() {
    if (!this.#hooks) return;
    fill(this.#list, ...(this.#hooks.length ? this.#hooks.map((hook) => this.#item(hook)) : [h("li", { class: "empty", t: "hooks.none" })]));
  }

  /** @param {Webhook} hook */
  #item(hook) {
    const log = h("div", { class: "hook-log" });
    const said = h("p", { class: "quiet", role: "status" });
    const box = h("details", {}, h("summary", { t: "hooks.log" }), log);
    const refresh = () => void this.load(async () => fill(log, deliveries((await listDeliveries(hook.hook_id)).data)));
    box.addEventListener("toggle", () => box.open && refresh());
    const named = h("span", { class: "sr-only" }, `${hook.url}: `);
    return h(
      "li",
      { class: "engine", "data-hook": hook.hook_id },
      h("div", { class: "engine-head" }, h("h3", {}, hook.url), h("span", { class: "quiet" }, ago(hook.created_at))),
      h("p", { class: "quiet" }, hook.events.map((name) => t(`hooks.on_${name.slice(EVENT.length)}`)).join(t("list.comma"))),
      h(
        "div",
        { class: "card-actions" },
        h(
          "button",
          {
            type: "button",
            class: "button button-small",
            t: "hooks.test",
            onclick: once(async () => {
              const sent = await this.attempt(() => testWebhook(hook.hook_id));
              if (!sent) return;
              fill(said, outcome(sent));
              if (box.open) refresh();
            }),
          },
          named,
        ),
        h("button", { type: "button", class: "button button-small button-quiet", t: "confirm.delete", onclick: once(() => this.#remove(hook)) }, named.cloneNode(true)),
      ),
      said,
      box,
    );
  }

  async #add() {
    const events = this.#events.filter(({ box }) => box.checked).map(({ name }) => EVENT + name);
    if (!events.length) {
      this.#events[0].box.focus();
      announce(t("hooks.choose_event"));
      return;
    }
    const made = await this.attempt(() => addWebhook(this.#url.value.trim(), events));
    if (!made) return;
    this.#url.value = "";
    this.#show("hooks.made", made.secret);
    await this.#load();
  }

  /** @param {string} title @param {string} secret */
  #show(title, secret) {
    fill(this.#secret, shownOnce({ title, secret, onDone: () => fill(this.#secret) }));
    this.#secret.scrollIntoView({ block: "nearest" });
    announce(t(title));
  }

  async #newSecret() {
    const sure = await confirmLoss({ title: "hooks.new_secret_title", body: ["hooks.new_secret_body", {}], action: "hooks.new_secret" });
    if (!sure) return;
    const made = await this.attempt(makeWebhookSecret);
    if (made) this.#show("hooks.own_made", made.secret);
  }

  /** @param {Webhook} hook */
  async #remove(hook) {
    const sure = await confirmLoss({ title: "hooks.delete_title", body: ["hooks.delete_body", { url: hook.url }], action: "confirm.delete" });
    if (!sure) return;
    await this.attempt(() => deleteWebhook(hook.hook_id));
    await this.#load();
  }
}

/** @param {Delivery} delivery */
function outcome(delivery) {
  return h(
    "span",
    {},
    h("span", { class: `badge ${LOOKS[delivery.status]}`, t: `hooks.status_${delivery.status}` }),
    " ",
    delivery.last_status !== null && `HTTP ${delivery.last_status}`,
    " ",
    delivery.last_error && h("span", { lang: "en" }, delivery.last_error),
  );
}

/** @param {Delivery[]} rows */
function deliveries(rows) {
  if (!rows.length) return h("p", { class: "quiet", t: "hooks.log_none" });
  return table(
    "hooks.log",
    ["hooks.when", "hooks.what", "hooks.result", "hooks.tries"],
    rows.map((row) =>
      h(
        "tr",
        {},
        h("td", {}, ago(row.created_at)),
        h("td", {}, row.job_id ? h("a", { href: `#/jobs/${row.job_id}` }, row.type) : row.type),
        h("td", {}, outcome(row)),
        h("td", { class: "number" }, String(row.attempts)),
      ),
    ),
  );
}
