/**
 * `#/system/<tab>`: the machine behind the page, and what programs and helpers need of it.
 */
import { fill, h } from "../lib/dom.js";
import { route } from "../shell/router.js";
import { BatchesPane } from "../system/batches-pane.js";
import { DictionaryPane } from "../system/dictionary-pane.js";
import { DoctorPane } from "../system/doctor-pane.js";
import { EnginesPane } from "../system/engines-pane.js";
import { KeysPane } from "../system/keys-pane.js";
import { LogsPane } from "../system/logs-pane.js";
import { MachinePane } from "../system/machine-pane.js";
import { SettingsPane } from "../system/settings-pane.js";
import { WebhooksPane } from "../system/webhooks-pane.js";

/** In the order of the tabs; the first one opens by itself. @type {Record<string, CustomElementConstructor>} */
const PANES = {
  engines: EnginesPane,
  machine: MachinePane,
  doctor: DoctorPane,
  logs: LogsPane,
  settings: SettingsPane,
  dictionary: DictionaryPane,
  keys: KeysPane,
  webhooks: WebhooksPane,
  batches: BatchesPane,
};

for (const [name, Pane] of Object.entries(PANES)) customElements.define(`aio-${name}-pane`, Pane);

export default class SystemScreen extends HTMLElement {
  static css = "/static/css/system.css";

  #links = Object.keys(PANES).map((name) => ({ name, link: h("a", { href: `#/system/${name}`, t: `system.tab_${name}` }) }));
  #place = h("div", { class: "pane-place" });
  /** Panes that were seen: what was typed or filtered there stays. @type {Map<string, HTMLElement>} */
  #panes = new Map();

  connectedCallback() {
    if (!this.childElementCount) {
      this.classList.add("screen", "system-screen");
      fill(
        this,
        h("header", { class: "screen-head" }, h("h2", { tabindex: "-1", class: "screen-title", t: "system.title" })),
        h("nav", { class: "tabs", tLabel: "system.tabs" }, ...this.#links.map(({ link }) => link)),
        this.#place,
      );
    }
    this.routeChanged(route().params);
  }

  /** @param {string[]} params */
  routeChanged([tab = ""]) {
    const name = Object.hasOwn(PANES, tab) ? tab : "engines";
    for (const { name: other, link } of this.#links) {
      if (other === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const pane = this.#panes.get(name) ?? new PANES[name]();
    this.#panes.set(name, pane);
    if (pane.isConnected) return;
    fill(this.#place, pane);
    this.#links.find(({ name: other }) => other === name)?.link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
