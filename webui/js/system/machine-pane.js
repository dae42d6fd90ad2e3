/**
 * `#/system/machine`: graphics cards, memory, processor and disk as they are at this moment.
 */
import { getMachine } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { duration, number, percent } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Repeat } from "../lib/repeat.js";
import { memory, size } from "../lib/size.js";
import { engineTitle } from "../state/library.js";
import { Pane } from "./pane.js";

/** @typedef {import("../types-system.js").Machine} Machine */
/** @typedef {import("../types-system.js").Gpu} Gpu */

const LOOK_EVERY_MS = 2000;

export class MachinePane extends Pane {
  #tiles = h("div", { class: "machine-tiles" });
  #facts = h("dl", { class: "machine-facts" });
  /** @type {Map<string, Tile>} */
  #known = new Map();
  /** @type {Machine|null} */
  #machine = null;
  #asking = new Repeat(
    () => this.#load(),
    () => LOOK_EVERY_MS,
  );

  build() {
    fill(this, this.said, this.#tiles, h("h3", { t: "system.facts" }), this.#facts);
  }

  begin() {
    this.#asking.start();
  }

  end() {
    this.#asking.stop();
  }

  async #load() {
    this.#machine = (await this.load(getMachine)) ?? this.#machine;
    this.render();
  }

  render() {
    const machine = this.#machine;
    if (!machine) return;
    for (const gpu of machine.gpus) this.#gpu(gpu);
    if (!machine.gpus.length) this.#tile("no-gpu", t("system.gpus")).write([["", t("system.no_gpu"), null]]);
    if (machine.memory) {
      const { total_bytes: total, free_bytes: free } = machine.memory;
      this.#tile("memory", t("system.memory")).write([used(total - free, total)]);
    }
    if (machine.cpu) {
      const load = machine.cpu.load_percent;
      this.#tile("cpu", t("system.cpu")).write([[t("system.cores", { n: machine.cpu.count }), load === null ? t("system.unknown") : percent(load), load]]);
    }
    const disk = machine.data ?? machine.disk;
    this.#tile("disk", t("system.disk")).write([used(disk.total_bytes - disk.free_bytes, disk.total_bytes)]);
    this.#writeFacts(machine);
  }

  /** @param {Gpu} gpu */
  #gpu(gpu) {
    /** @type {Line[]} */
    const lines = [];
    if (gpu.total_mib !== null && gpu.free_mib !== null) {
      const taken = gpu.total_mib - gpu.free_mib;
      lines.push([t("system.memory"), t("system.used_of", { used: memory(taken), all: memory(gpu.total_mib) }), (taken / gpu.total_mib) * 100]);
    } else {
      lines.push([t("system.memory"), t("system.shared"), null]);
    }
    if (typeof gpu.utilisation_percent === "number") lines.push([t("system.load"), percent(gpu.utilisation_percent), gpu.utilisation_percent]);
    if (typeof gpu.temperature_c === "number") lines.push([t("system.temperature"), t("system.celsius", { n: number(gpu.temperature_c) }), null]);
    const work = gpu.engine ? engineTitle(gpu.engine) : t("system.idle");
    lines.push([t("system.task"), work, null]);
    this.#tile(`gpu${gpu.index}`, `${gpu.index}: ${gpu.name}`).write(lines, gpu.job_id);
  }

  /** @param {string} id @param {string} title */
  #tile(id, title) {
    let tile = this.#known.get(id);
    if (!tile) {
      tile = new Tile();
      this.#known.set(id, tile);
      this.#tiles.append(tile.element);
    }
    tile.title(title);
    return tile;
  }

  /** @param {Machine} machine */
  #writeFacts(machine) {
    /** @type {[string, string][]} */
    const facts = [
      ["system.version", machine.version],
      ["system.python", machine.python],
      ["system.platform", machine.platform],
      ["system.uptime", duration(machine.uptime_seconds)],
    ];
    if (machine.data?.path) facts.push(["system.data", machine.data.path]);
    fill(this.#facts, ...facts.flatMap(([key, value]) => [h("dt", { t: key }), h("dd", {}, value)]));
  }
}

/** What it is, its value in words, and its share of a bar. @typedef {[string, string, number|null]} Line */

/** @param {number} taken @param {number} total @returns {Line} */
const used = (taken, total) => ["", t("system.used_of", { used: size(taken), all: size(total) }), total ? (taken / total) * 100 : null];

/** One thing of the machine: its lines change in place, so that nothing jumps. */
class Tile {
  #title = h("h3", {});
  #lines = h("div", { class: "machine-lines" });
  element = h("section", { class: "card machine-tile" }, this.#title, this.#lines);

  /** @param {string} words */
  title(words) {
    if (this.#title.textContent !== words) this.#title.textContent = words;
  }

  /** @param {Line[]} lines @param {string|null} [jobId] */
  write(lines, jobId = null) {
    fill(
      this.#lines,
      ...lines.map(([label, value, share]) => {
        const meter = share === null ? null : h("span", { class: "meter", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share), "aria-valuetext": value, "aria-label": label || this.#title.textContent });
        meter?.style.setProperty("--share", `${share}%`);
        return h("div", { class: "machine-line" }, h("span", { class: "quiet" }, label), h("span", { class: "field-value" }, value), meter);
      }),
      jobId && h("a", { href: `#/jobs/${jobId}`, t: "system.to_job" }),
    );
  }
}

