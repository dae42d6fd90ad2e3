/**
 * The panel of models that can be downloaded: what each is for, how large, how far; start, pause, go on, delete.
 */
import { actOnModel, deleteModel, listModels } from "../api/endpoints.js";
import { h, byId, fill } from "../lib/dom.js";
import { duration, number, percent } from "../lib/format.js";
import { hasText, isChinese, t } from "../lib/i18n.js";
import { confirmLoss } from "./confirm.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";

/** @typedef {import("../types.js").Model} Model */

/** While something is coming in; nothing is asked when the panel is closed. */
const LOOK_EVERY_MS = 1000;
const GB = 1e9;
const MB = 1e6;

/** In the order in which they are told. */
const PURPOSES = ["video", "voice", "writing", "listening", "other"];

/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;

/** @param {number} bytes */
const size = (bytes) =>
  bytes >= GB
    ? t("models.gigabytes", { n: number(Math.round((bytes / GB) * 10) / 10) })
    : t("models.megabytes", { n: number(Math.round(bytes / MB)) });

export function openModels() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("models-dialog"));
  if (!dialog.open) dialog.showModal();
  void refresh();
}

export function startModels() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("models-dialog"));
  byId("models-close").append(icon("close"));
  byId("models-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => clearTimeout(timer));
  document.addEventListener("localechange", () => dialog.open && void refresh());
}

async function refresh() {
  clearTimeout(timer);
  const list = byId("models-list");
  try {
    const { data, free_bytes: free } = await listModels();
    byId("models-free").textContent = t("models.free", { size: size(free) });
    const focused = document.activeElement?.getAttribute("data-act");
    fill(list, ...PURPOSES.flatMap((purpose) => group(purpose, data.filter((model) => model.purpose === purpose))));
    if (focused) /** @type {HTMLElement|null} */ (list.querySelector(`[data-act="${CSS.escape(focused)}"]`))?.focus();
    const isBusy = data.some((model) => ["downloading", "verifying"].includes(model.state));
    if (isBusy && /** @type {HTMLDialogElement} */ (byId("models-dialog")).open) timer = setTimeout(() => void refresh(), LOOK_EVERY_MS);
  } catch (error) {
    fill(list, h("li", {}, problemBox(asProblem(error))));
  }
}

/** The models of one purpose below what it is. @param {string} purpose @param {Model[]} models */
function group(purpose, models) {
  if (!models.length) return [];
  const title = hasText(`model_purpose.${purpose}`) ? h("p", { class: "field-label", t: `model_purpose.${purpose}` }) : null;
  return [h("li", { class: "models-group" }, title, h("ul", { class: "engines-list" }, ...models.map(card)))];
}

/** @param {Model} model */
function card(model) {
  const name = isChinese() ? model.name_zh : model.name_en;
  const share = model.bytes ? (model.downloaded_bytes / model.bytes) * 100 : 0;
  const isComing = ["downloading", "verifying", "paused"].includes(model.state);
  const look = model.state === "ready" ? "badge-ok" : ["damaged", "failed"].includes(model.state) ? "badge-error" : "badge-idle";
  return h(
    "li",
    { class: "engine", "data-model": model.id },
    h(
      "div",
      { class: "engine-head" },
      h("h3", {}, name),
      h("span", { class: "quiet" }, size(model.bytes), " · ", model.licence),
      h("span", { class: `badge ${look}`, t: `model_state.${model.state}` }),
    ),
    model.requires?.length > 0 && h("p", { class: "quiet", t: "models.with_others" }),
    model.note && h("p", { class: "quiet", lang: "en" }, model.note),
    isComing && bar(model, share, name),
    model.error && problemBox({ ...model.error }),
    h("div", { class: "model-actions" }, ...actions(model, name)),
  );
}

/** @param {Model} model @param {number} share @param {string} name */
function bar(model, share, name) {
  const speed = model.speed_bytes_s ? t("models.speed", { size: size(model.speed_bytes_s) }) : "";
  const left = model.eta_s ? t("models.left", { time: duration(model.eta_s) }) : "";
  return h(
    "div",
    {},
    h("progress", { class: "model-bar", max: 100, value: share, tLabel: ["models.progress", { name }] }, percent(share)),
    h("p", { class: "quiet" }, [percent(share), speed, left].filter(Boolean).join(" · ")),
  );
}

/** @param {Model} model @param {string} name */
function actions(model, name) {
  /** @param {"download"|"pause"|"resume"} action */
  const button = (action) =>
    h("button", {
      type: "button",
      class: "button button-small",
      "data-act": `${model.id}/${action}`,
      t: `models.${action}`,
      onclick: () => void act(() => actOnModel(model.id, action)),
    });
  const remove = h("button", {
    type: "button",
    class: "button button-small button-quiet",
    "data-act": `${model.id}/delete`,
    t: "confirm.delete",
    onclick: () => void removeModel(model, name),
  });
  switch (model.state) {
    case "downloading":
      return [button("pause")];
    case "paused":
      return [button("resume"), remove];
    case "ready":
      return [remove];
    case "verifying":
      return [];
    default:
      return [button("download"), model.downloaded_bytes > 0 && remove];
  }
}

/** @param {Model} model @param {string} name */
async function removeModel(model, name) {
  const sure = await confirmLoss({ title: "models.delete_title", body: ["models.delete_body", { name, size: size(model.bytes) }], action: "confirm.delete" });
  if (sure) await act(() => deleteModel(model.id));
}

/** @param {() => Promise<unknown>} work */
async function act(work) {
  try {
    await work();
    await refresh();
  } catch (error) {
    byId("models-list").prepend(h("li", {}, problemBox(asProblem(error))));
  }
}
