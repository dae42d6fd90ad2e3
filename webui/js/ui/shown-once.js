/**
 * A secret that the service tells a single time: shown large, with a button that copies it.
 */
import { copyText } from "../lib/clipboard.js";
import { h } from "../lib/dom.js";
import { bindText } from "../lib/i18n.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { t } from "../lib/i18n.js";

/**
 * @param {{title: string, secret: string, onDone: () => void}} what  `title` is a key; `onDone` when it was put away
 */
export function shownOnce({ title, secret, onDone }) {
  const shown = h("code", { class: "secret" }, secret);
  const label = h("span", { t: "keys.copy" });
  const copy = h(
    "button",
    {
      type: "button",
      class: "button button-primary",
      onclick: async () => {
        const said = (await copyText(secret, shown)) ? "problem.copied" : "problem.copy_failed";
        bindText(label, said);
        announce(t(said));
      },
    },
    icon("copy"),
    label,
  );
  return h(
    "div",
    { class: "notice notice-draft shown-once" },
    icon("info"),
    h(
      "div",
      { class: "notice-body" },
      h("p", { class: "notice-title", t: title }),
      h("p", { t: "keys.once" }),
      shown,
      h("div", { class: "notice-actions" }, copy, h("button", { type: "button", class: "button", t: "keys.kept", onclick: onDone })),
    ),
  );
}
