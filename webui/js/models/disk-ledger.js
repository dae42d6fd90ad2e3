/**
 * `<aio-disk-ledger>`: what takes room on the disk, and what can be freed without harm.
 */
import { getDisk, reclaimDisk } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { size } from "../lib/size.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";

/** @typedef {import("../types-system.js").DiskLedger} Ledger */

/** Nothing that somebody made goes with these; the others delete videos. */
const HARMLESS = ["caches", "intermediates", "unused_uploads", "database"];

export class DiskLedger extends HTMLElement {
  #body = h("div", { class: "disk" });
  /** What was freed last, or what went wrong. */
  #said = h("div", {});
  /** @type {Ledger|null} */
  #ledger = null;
  #chosen = new Set(HARMLESS);
  #isBusy = false;
  #onLocale = () => this.#render();

  connectedCallback() {
    if (!this.childElementCount) {
      this.classList.add("card");
      fill(
        this,
        h(
          "div",
          { class: "screen-head" },
          h("h3", { t: "disk.title" }),
          h("button", { type: "button", class: "button button-small", t: "disk.again", onclick: () => void this.load() }),
        ),
        this.#said,
        this.#body,
      );
    }
    document.addEventListener("localechange", this.#onLocale);
    void this.load();
  }

  disconnectedCallback() {
    document.removeEventListener("localechange", this.#onLocale);
  }

  async load() {
    try {
      this.#ledger = await getDisk();
      this.#render();
    } catch (error) {
      fill(this.#said, problemBox(asProblem(error)));
    }
  }

  #render() {
    const ledger = this.#ledger;
    if (!ledger) return;
    const others = Math.max(0, ledger.total_bytes - ledger.free_bytes - ledger.used_bytes);
    fill(
      this.#body,
      h("p", { class: "disk-free" }, h("strong", {}, size(ledger.free_bytes)), " ", h("span", { t: ["disk.free_of", { size: size(ledger.total_bytes) }] })),
      bar([
        ["ours", ledger.used_bytes],
        ["others", others],
        ["free", ledger.free_bytes],
      ]),
      h(
        "ul",
        { class: "disk-legend" },
        legend("ours", ledger.used_bytes),
        legend("others", others),
        legend("free", ledger.free_bytes),
      ),
      ledger.budget_bytes !== null && h("p", { class: "quiet", t: ["disk.budget", { size: size(ledger.budget_bytes) }] }),
      kinds(ledger),
      this.#reclaim(ledger),
    );
  }

  /** @param {Ledger} ledger */
  #reclaim(ledger) {
    const rules = ledger.reclaimable.filter((rule) => rule.bytes > 0);
    if (!rules.length) return h("p", { class: "quiet", t: "disk.nothing" });
    const button = h("button", { type: "button", class: "button", onclick: () => void this.#run(rules) });
    const update = () => {
      const bytes = rules.filter(({ rule }) => this.#chosen.has(rule)).reduce((sum, { bytes: n }) => sum + n, 0);
      fill(button, icon("trash"), h("span", { t: bytes ? ["disk.reclaim", { size: size(bytes) }] : "disk.choose" }));
      button.setAttribute("aria-disabled", String(!bytes || this.#isBusy));
    };
    const rows = rules.map(({ rule, bytes, count }) => {
      const box = h("input", {
        type: "checkbox",
        checked: this.#chosen.has(rule),
        onchange: () => {
          if (box.checked) this.#chosen.add(rule);
          else this.#chosen.delete(rule);
          update();
        },
      });
      return h(
        "li",
        {},
        h(
          "label",
          { class: "tick" },
          box,
          h(
            "span",
            {},
            h("strong", { t: `disk.rule_${rule}` }),
            " ",
            h("span", { class: "disk-amount" }, `${size(bytes)} · ${t("disk.count", { n: number(count) })}`),
            " ",
            !HARMLESS.includes(rule) && h("span", { class: "badge badge-fallback", t: "disk.lossy" }),
            h("span", { class: "quiet disk-why", t: `disk.why_${rule}` }),
          ),
        ),
      );
    });
    update();
    return h("div", { class: "disk-reclaim" }, h("h4", { t: "disk.reclaim_title" }), h("ul", { class: "disk-rules" }, ...rows), h("div", {}, button));
  }

  /** @param {import("../types-system.js").Reclaimable[]} rules */
  async #run(rules) {
    const chosen = rules.filter(({ rule }) => this.#chosen.has(rule));
    if (!chosen.length || this.#isBusy) return;
    const names = chosen.map(({ rule }) => t(`disk.rule_${rule}`)).join(t("list.comma"));
    const isLossy = chosen.some(({ rule }) => !HARMLESS.includes(rule));
    const sure = await confirmLoss({
      title: isLossy ? "disk.ask_title_lossy" : "disk.ask_title",
      body: [isLossy ? "disk.ask_lossy" : "disk.ask", { names }],
      action: "disk.ask_do",
    });
    if (!sure) return;
    this.#isBusy = true;
    try {
      const { freed_bytes: freed } = await reclaimDisk(chosen.map(({ rule }) => rule));
      announce(t("disk.freed", { size: size(freed) }));
      fill(this.#said, h("p", { class: "notice notice-done" }, icon("check"), h("span", { t: ["disk.freed", { size: size(freed) }] })));
    } catch (error) {
      fill(this.#said, problemBox(asProblem(error)));
    } finally {
      this.#isBusy = false;
    }
    await this.load();
  }
}

/** Parts of a whole, side by side; the legend has the numbers. @param {[string, number][]} parts */
function bar(parts) {
  const box = h("div", { class: "disk-bar", "aria-hidden": "true" });
  for (const [name, bytes] of parts) {
    const piece = h("span", { class: `disk-${name}` });
    piece.style.setProperty("--share", String(bytes));
    box.append(piece);
  }
  return box;
}

/** @param {string} name @param {number} bytes */
const legend = (name, bytes) =>
  h("li", {}, h("span", { class: `disk-dot disk-${name}`, "aria-hidden": "true" }), h("span", { t: `disk.${name}` }), " ", h("strong", {}, size(bytes)));

/** What this program keeps, the largest first. @param {Ledger} ledger */
function kinds(ledger) {
  const used = ledger.kinds.filter((kind) => kind.bytes > 0).sort((a, b) => b.bytes - a.bytes);
  if (!used.length) return null;
  const most = used[0].bytes;
  const rows = used.map(({ kind, bytes, count }) => {
    const meter = h("span", { class: "disk-meter", "aria-hidden": "true" });
    meter.style.setProperty("--share", `${(bytes / most) * 100}%`);
    return h(
      "tr",
      {},
      h("th", { scope: "row", t: `disk.kind_${kind}` }),
      h("td", { class: "disk-meter-cell" }, meter),
      h("td", { class: "number" }, size(bytes)),
      h("td", { class: "number quiet" }, t("disk.files", { n: number(count) })),
    );
  });
  return h("table", { class: "disk-kinds" }, h("caption", { class: "sr-only", t: "disk.table" }), h("tbody", {}, ...rows));
}
