/**
 * The button that changes the theme: as the system has it, light, dark.
 */
import { byId, fill } from "../lib/dom.js";
import { bindAttribute, t } from "../lib/i18n.js";
import { readPref, writePref } from "../lib/prefs.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";

/** In the order of the clicks, with their icons. @type {[string, string][]} */
const CHOICES = [
  ["auto", "contrast"],
  ["light", "sun"],
  ["dark", "moon"],
];

export function startThemeSwitch() {
  const button = byId("theme-button");
  const at = () => Math.max(0, CHOICES.findIndex(([name]) => name === readPref("theme", "auto")));
  const show = () => {
    const [name, mark] = CHOICES[at()];
    fill(button, icon(mark));
    for (const attribute of ["aria-label", "title"]) bindAttribute(button, attribute, `theme.${name}`);
  };
  button.addEventListener("click", () => {
    const [next] = CHOICES[(at() + 1) % CHOICES.length];
    writePref("theme", next);
    document.dispatchEvent(new Event("themechosen"));
    show();
    announce(t(`theme.${next}`));
  });
  show();
}
