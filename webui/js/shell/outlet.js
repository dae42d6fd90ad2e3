/**
 * Shows the screen of the address in `<main id="screen">`: loads it once, brings the focus to its heading.
 */
import { ApiError } from "../api/client.js";
import { byId, h } from "../lib/dom.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { route } from "./router.js";
import { SCREENS } from "./screens.js";

/** Stays alive behind the others: what is being typed or played there goes on. */
const KEPT = "studio";

/** @type {Map<string, Promise<CustomElementConstructor>>} */
const loaded = new Map();
/** @type {HTMLElement|null} */
let kept = null;
/** @type {{name: string, element: HTMLElement}|null} */
let shown = null;

/** @param {string} name @returns {Promise<CustomElementConstructor>} */
function load(name) {
  const known = loaded.get(name);
  if (known) return known;
  const work = SCREENS[name].load().catch(unfetched).then(async ({ default: Screen }) => {
    if (Screen.css) await addStyles(Screen.css);
    const tag = `aio-${name}-screen`;
    if (!customElements.get(tag)) customElements.define(tag, Screen);
    return Screen;
  });
  loaded.set(name, work);
  // A screen that could not be fetched may be tried again.
  work.catch(() => loaded.delete(name));
  return work;
}

/** Every browser has its own words for a module that did not come. @param {unknown} error @returns {never} */
function unfetched(error) {
  throw error instanceof TypeError && /module/i.test(error.message) ? new ApiError({ code: "offline", detail: "" }) : error;
}

/** @param {string} href */
function addStyles(href) {
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = h("link", { rel: "stylesheet", href });
    link.addEventListener("load", resolve);
    link.addEventListener("error", () => {
      link.remove();
      reject(new ApiError({ code: "offline", detail: "" }));
    });
    document.head.append(link);
  });
}

/** @param {boolean} byUser  whether to bring the focus along */
async function show(byUser) {
  const { name, params } = route();
  const outlet = byId("screen");
  if (shown?.name === name) {
    /** @type {import("./screens.js").ScreenElement} */ (shown.element).routeChanged?.(params);
    return;
  }
  outlet.setAttribute("aria-busy", "true");
  try {
    const Screen = await load(name);
    if (route().name !== name) return;
    leave();
    const element = name === KEPT && kept ? kept : new Screen();
    if (name === KEPT) kept = element;
    element.hidden = false;
    // Putting the kept one in anew would build it anew.
    if (!element.isConnected) outlet.append(element);
    shown = { name, element };
    document.documentElement.dataset.screen = name;
    if (byUser) focusHeading(element);
  } catch (error) {
    if (route().name !== name) return;
    leave();
    // Some browsers never ask again for a module that failed once, unless the page is new.
    const again = h("button", { type: "button", class: "button", t: "nav.again", onclick: () => location.reload() });
    const element = h("div", { class: "screen-problem" }, problemBox(asProblem(error), { actions: [again] }));
    outlet.append(element);
    shown = { name: "", element };
  } finally {
    outlet.removeAttribute("aria-busy");
  }
}

/** Take away what is shown. */
function leave() {
  if (shown?.name === KEPT) shown.element.hidden = true;
  else shown?.element.remove();
  shown = null;
}

/** @param {HTMLElement} element */
function focusHeading(element) {
  scrollTo({ top: 0 });
  /** @type {HTMLElement|null} */ (element.querySelector("h2[tabindex]"))?.focus({ preventScroll: true });
}

export async function startOutlet() {
  document.addEventListener("routechange", () => void show(true));
  // What the service was not there to give.
  new MutationObserver(() => {
    if (shown?.name === "" && document.documentElement.dataset.connection === "live") void show(false);
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-connection"] });
  await show(false);
}
