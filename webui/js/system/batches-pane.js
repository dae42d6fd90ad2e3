/**
 * `#/system/batches`: many videos that a program ordered in one request, each batch with its progress.
 */
import { cancelBatch, listBatches } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { ago, number, percent } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Repeat } from "../lib/repeat.js";
import { confirmLoss } from "../ui/confirm.js";
import { Pane, once, table } from "./pane.js";

/** @typedef {import("../types-system.js").BatchSummary} Batch */

const BUSY_MS = 3000;
const IDLE_MS = 15_000;

export class BatchesPane extends Pane {
  #list = h("div", {});
  /** @type {Batch[]|null} */
  #batches = null;
  #seen = "";
  #asking = new Repeat(
    () => this.#load(),
    () => (this.#batches?.some((batch) => !batch.finished) ? BUSY_MS : IDLE_MS),
  );

  build() {
    fill(this, h("p", { class: "quiet", t: "batches.intro" }), this.said, this.#list);
  }

  begin() {
    this.#asking.start();
  }

  end() {
    this.#asking.stop();
  }

  async #load() {
    await this.load(async () => {
      this.#batches = (await listBatches()).data;
    });
    const seen = JSON.stringify(this.#batches);
    if (seen !== this.#seen) this.render();
    this.#seen = seen;
  }

  render() {
    if (!this.#batches) return;
    if (!this.#batches.length) {
      fill(this.#list, h("p", { class: "empty", t: "batches.none" }));
      return;
    }
    fill(
      this.#list,
      table(
        "batches.title",
        ["batches.name", "batches.videos", "batches.progress", "batches.failed", "batches.made", "system.action"],
        this.#batches.map((batch) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, batch.title || batch.batch_id),
            h("td", { class: "number" }, number(batch.total)),
            h("td", { class: "number" }, percent(batch.progress)),
            h("td", { class: "number" }, number(batch.counts.failed ?? 0)),
            h("td", {}, ago(batch.created_at)),
            h("td", {}, batch.finished ? t("batches.done") : h("button", { type: "button", class: "button button-small", t: "batches.cancel", onclick: once(() => this.#cancel(batch)) })),
          ),
        ),
      ),
    );
  }

  /** @param {Batch} batch */
  async #cancel(batch) {
    // Beside the usual "Keep", a button that says "Cancel" reads as the one that closes the question.
    const sure = await confirmLoss({
      title: "batches.cancel_title",
      body: ["batches.cancel_body", { name: batch.title || batch.batch_id }],
      action: "batches.cancel_all",
      keep: "batches.keep",
    });
    if (!sure) return;
    await this.attempt(() => cancelBatch(batch.batch_id));
    await this.#asking.now();
  }
}
