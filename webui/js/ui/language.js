/**
 * The language switch in the header.
 */
import { byId } from "../lib/dom.js";
import { locale, LOCALES, useLocale } from "../lib/i18n.js";
import { asProblem } from "./problem.js";

/** Each button stands in its own language, whatever the page's is. */
export function startLanguageSwitch() {
  const buttons = LOCALES.map((name) => ({ name, button: byId(`lang-${name}`) }));
  const mark = () => {
    for (const { name, button } of buttons) button.setAttribute("aria-pressed", String(name === locale()));
  };
  for (const { name, button } of buttons) {
    button.addEventListener("click", () => {
      useLocale(name, { remember: true }).catch(asProblem);
    });
  }
  document.addEventListener("localechange", mark);
  mark();
}
