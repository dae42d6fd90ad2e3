/**
 * The screens of the page, in the order of the rail. One line each: a screen is listed when its file is here.
 *
 * A module exports its element as `default`, with `static css` naming its style sheet when it has one.
 */

/**
 * @typedef {object} ScreenElement
 * @property {(params: string[]) => void} [routeChanged]  only the tail of the address has changed
 */

/** @typedef {{default: (new () => HTMLElement & ScreenElement) & {css?: string}}} ScreenModule */

/**
 * @typedef {object} ScreenEntry
 * @property {string} title  key
 * @property {string} icon
 * @property {() => Promise<ScreenModule>} load
 * @property {boolean} [unlisted]  reached by an address, not from the rail
 */

/** @type {Record<string, ScreenEntry>} */
export const SCREENS = {
  studio: { title: "nav.studio", icon: "studio", load: () => import("../screens/studio.js") },
  library: { title: "nav.library", icon: "library", load: () => import("../screens/library.js") },
  voices: { title: "nav.voices", icon: "voices", load: () => import("../screens/voices.js") },
  avatars: { title: "nav.avatars", icon: "person", load: () => import("../screens/avatars.js") },
  models: { title: "nav.models", icon: "models", load: () => import("../screens/models.js") },
  system: { title: "nav.system", icon: "system", load: () => import("../screens/system.js") },
  start: { title: "start.title", icon: "spark", load: () => import("../screens/start.js"), unlisted: true },
};
