/**
 * Taking several videos home at once: what goes into the archive, and how far it has come.
 */
import { exportJobs } from "../api/library.js";
import { fill, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { bindText, t } from "../lib/i18n.js";
import { readPref, writePref } from "../lib/prefs.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { saveFile } from "./save-file.js";

/** @typedef {import("../types.js").Job} Job */

/** What an archive may hold of each video, with its key. @type {[string, string][]} */
const PARTS = [
  ["video", "lib.part_video"],
  ["audio", "lib.part_audio"],
  ["subtitles", "lib.part_subtitles"],
  ["thumbnail", "lib.part_thumbnail"],
  ["provenance", "lib.part_provenance"],
];
const MB = 1_000_000;

/** @param {number} bytes */
const megabytes = (bytes) => number(Math.round((bytes / MB) * 10) / 10);

/** @param {Job[]} chosen */
export function openExport(chosen) {
  const ready = chosen.filter((job) => job.status === "completed");
  const kept = readPref("export", ["video", "subtitles"]);
  const ticks = PARTS.map(([name]) => h("input", { type: "checkbox", id: `export-${name}`, value: name, checked: kept.includes(name), onchange: () => update() }));
  const state = h("p", { class: "quiet", role: "status" });
  const problem = h("div", {});
  const submit = h("button", { type: "submit", class: "button button-primary" });
  /** @type {AbortController|null} */
  let running = null;

  const update = () => {
    const none = !ticks.some((tick) => tick.checked) || !ready.length;
    submit.setAttribute("aria-disabled", String(none || running !== null));
    fill(submit, running ? h("span", { class: "spinner" }) : icon("download"), h("span", { t: ["lib.export_do", { n: ready.length }] }));
    if (!running) bindText(state, !ready.length ? "lib.export_none" : none ? "lib.export_nothing" : ready.length < chosen.length ? "lib.export_ready" : "lib.export_all_ready", { n: ready.length, all: chosen.length });
  };

  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const include = ticks.filter((tick) => tick.checked).map((tick) => tick.value);
    if (running || !include.length || !ready.length) return;
    writePref("export", include);
    running = new AbortController();
    fill(problem);
    update();
    bindText(state, "lib.export_packing");
    try {
      const { blob, name } = await exportJobs(
        { job_ids: ready.map((job) => job.job_id), include },
        { signal: running.signal, onBytes: (bytes, all) => bindText(state, "lib.export_bytes", { n: megabytes(bytes), all: megabytes(all) }) },
      );
      saveFile(blob, name);
      announce(t("lib.export_done"));
      dialog.close();
    } catch (error) {
      if (!dialog.isConnected) return;
      running = null;
      fill(problem, problemBox(asProblem(error)));
      update();
    }
  };

  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "export-title" },
    h(
      "form",
      { onsubmit: (/** @type {Event} */ event) => void send(event) },
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: "export-title", t: "lib.export_title" }),
        h("button", { type: "button", class: "icon-button", tLabel: "dialog.close", onclick: () => dialog.close() }, icon("close")),
      ),
      h("p", { class: "quiet", t: "lib.export_intro" }),
      ...PARTS.map(([name, key], n) => h("label", { class: "tick", for: `export-${name}` }, ticks[n], h("span", { t: key }))),
      problem,
      h("div", { class: "dialog-actions" }, state, submit),
    ),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    running?.abort();
  });
  document.body.append(dialog);
  update();
  dialog.showModal();
}
