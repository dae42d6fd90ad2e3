/**
 * `#/avatars`, `#/avatars/new` and `#/avatars/<id>`: all portraits, a new one, and one of them.
 */
import { fill, h } from "../lib/dom.js";
import { go, route } from "../shell/router.js";
import { library } from "../state/library.js";
import { acceptFiles } from "../ui/file-drop.js";
import { icon } from "../ui/icons.js";
import { AvatarList } from "../avatars/avatar-list.js";
import { AvatarPage } from "../avatars/avatar-page.js";
import { NewAvatar, pastedPicture } from "../avatars/new-avatar.js";

export default class AvatarsScreen extends HTMLElement {
  static css = "/static/css/avatars.css";
  #list = new AvatarList();
  #overview = h(
    "div",
    {},
    h(
      "header",
      { class: "screen-head" },
      h("div", { class: "screen-heading" }, h("h2", { class: "screen-title", tabindex: "-1", t: "avatarpage.title" }), h("p", { class: "quiet", t: "avatarpage.intro" })),
      h("div", { class: "screen-actions" }, h("a", { class: "button button-primary", href: "#/avatars/new", t: "avatarpage.add" }, icon("plus"))),
    ),
    this.#list.element,
  );
  /** @type {NewAvatar|AvatarPage|null} */
  #open = null;
  /** A picture that was dropped or pasted beside the form. @type {File|null} */
  #waiting = null;
  #onAvatars = () => this.#list.render();
  #onLocale = () => {
    this.#list.render();
    if (this.#open instanceof AvatarPage) this.#open.localeChanged();
  };
  #onPaste = (/** @type {ClipboardEvent} */ event) => {
    const file = pastedPicture(event);
    if (!file) return;
    event.preventDefault();
    this.#take(file);
  };

  constructor() {
    super();
    acceptFiles(this.#overview, h("input", { type: "file" }), (file) => this.#take(file));
  }

  connectedCallback() {
    this.classList.add("screen", "avatars-screen");
    library.addEventListener("avatars", this.#onAvatars);
    document.addEventListener("localechange", this.#onLocale);
    document.addEventListener("paste", this.#onPaste);
    this.#show(route().params[0] ?? "");
  }

  disconnectedCallback() {
    library.removeEventListener("avatars", this.#onAvatars);
    document.removeEventListener("localechange", this.#onLocale);
    document.removeEventListener("paste", this.#onPaste);
    this.#open?.close();
  }

  /** @param {string[]} params */
  routeChanged([id = ""]) {
    this.#show(id);
    scrollTo({ top: 0 });
    /** @type {HTMLElement|null} */ (this.querySelector("h2[tabindex]"))?.focus({ preventScroll: true });
  }

  /** A picture from anywhere on this screen. @param {File} file */
  #take(file) {
    if (this.#open instanceof NewAvatar) {
      void this.#open.choose(file);
      return;
    }
    this.#waiting = file;
    go("#/avatars/new");
  }

  /** @param {string} id  "" for all, "new", or a portrait */
  #show(id) {
    this.#open?.close();
    this.#open = null;
    if (!id) {
      fill(this, this.#overview);
      return;
    }
    if (id === "new") {
      const form = new NewAvatar((avatarId) => go(`#/avatars/${avatarId}`));
      this.#open = form;
      fill(
        this,
        h("a", { class: "back-link", href: "#/avatars", t: "avatarpage.back" }, icon("back")),
        h("header", { class: "screen-head" }, h("h2", { class: "screen-title", tabindex: "-1", t: "avatarpage.add" })),
        form.element,
      );
      if (this.#waiting) void form.choose(this.#waiting);
      this.#waiting = null;
      return;
    }
    const page = new AvatarPage(id);
    this.#open = page;
    fill(this, page.element);
  }
}
