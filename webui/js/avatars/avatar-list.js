/**
 * All portraits: one's own first, then the built-in ones.
 */
import { fill, h } from "../lib/dom.js";
import { displayName, library } from "../state/library.js";
import { avatarPicture } from "../ui/avatar-picture.js";
import { icon } from "../ui/icons.js";

/** @typedef {import("../types.js").Avatar} Avatar */

export class AvatarList {
  element = h("div", { class: "avatar-lists" });

  constructor() {
    this.render();
  }

  render() {
    const { avatars } = library;
    const focused = this.element.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
    const own = avatars.filter((avatar) => !avatar.builtin);
    const builtin = avatars.filter((avatar) => avatar.builtin);
    fill(
      this.element,
      section("avatarpage.own", [addTile(), ...own.map(card)]),
      builtin.length > 0 && section("avatarpage.builtin", builtin.map(card)),
    );
    if (focused) /** @type {HTMLElement|null} */ (this.element.querySelector(`a[href="${CSS.escape(focused)}"]`))?.focus();
  }
}

/** @param {string} title  key @param {Node[]} cards */
const section = (title, cards) => h("section", { class: "avatar-group" }, h("h3", { t: title }), h("ul", { class: "avatar-grid" }, ...cards));

const addTile = () =>
  h("li", {}, h("a", { class: "avatar-tile avatar-add", href: "#/avatars/new" }, icon("upload"), h("strong", { t: "portraits.add" }), h("span", { class: "quiet", t: "avatarpage.drop_here" })));

/** @param {Avatar} avatar */
function card(avatar) {
  const faces = avatar.faces.length;
  return h(
    "li",
    {},
    h(
      "a",
      { class: "avatar-tile", href: `#/avatars/${avatar.avatar_id}` },
      h("span", { class: "avatar-thumb" }, avatarPicture(avatar, { alt: "", loading: "lazy", decoding: "async" })),
      h(
        "span",
        { class: "avatar-line" },
        h("span", { class: "avatar-name" }, displayName(avatar)),
        faces > 1 && h("span", { class: "badge badge-idle", t: ["avatarpage.faces", { n: faces }] }),
        avatar.warnings.some((warning) => warning.code !== "several_faces") && h("span", { class: "badge badge-fallback", t: "avatarpage.has_warnings" }, icon("warning")),
      ),
    ),
  );
}
