/**
 * `<aio-portraits>`: choose a portrait from the library or add one.
 */
import { h, fill } from "../lib/dom.js";
import { form } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { announce } from "./announce.js";
import { avatarPicture } from "./avatar-picture.js";
import { confirmLoss } from "./confirm.js";
import { faceChooser } from "./faces.js";
import { acceptFiles } from "./file-drop.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";
import { portraitWarning } from "./wording.js";
import { t } from "../lib/i18n.js";

/** @typedef {import("../types.js").Avatar} Avatar */

/** Fields that decide what stands on the faces. */
const OF_FACES = ["twoSpeakers", "speaking", "faceA", "faceB", "nameA", "nameB"];
/** No face of the portrait before is a face of this one. */
const ANY_FACE = { faceIndex: null, faceA: null, faceB: null };

export class Portraits extends HTMLElement {
  #grid = h("div", { class: "portraits-grid", role: "radiogroup", tLabel: "portraits.label" });
  #details = h("div", { class: "picker-details" });
  #problem = h("div", {});
  #input = h("input", {
    type: "file",
    class: "sr-only",
    id: "portrait-file",
    accept: "image/*,.heic,.heif,video/mp4,video/quicktime,video/webm",
    tLabel: "portraits.upload",
  });
  #uploading = false;

  connectedCallback() {
    this.classList.add("picker");
    fill(this, this.#grid, this.#problem, this.#details);
    acceptFiles(this, this.#input, (file) => void this.#upload(file));
    library.addEventListener("avatars", () => this.#render());
    form.addEventListener("change", (event) => {
      const changed = /** @type {CustomEvent<string[]>} */ (event).detail;
      if (changed.includes("avatarId")) this.#render();
      else if (changed.some((name) => OF_FACES.includes(name))) this.#renderDetails();
    });
    document.addEventListener("localechange", () => this.#render());
    this.#render();
  }

  /** Bring the keyboard here. */
  focus() {
    this.#grid.querySelector("input")?.focus();
  }

  #render() {
    const selected = form.value.avatarId;
    const hadFocus = this.#grid.contains(document.activeElement) && document.activeElement !== this.#input;
    fill(this.#grid, this.#uploadTile(), ...library.avatars.map((avatar) => this.#tile(avatar, selected)));
    if (hadFocus) this.#grid.querySelector("input:checked")?.dispatchEvent(new Event("refocus"));
    this.#renderDetails();
  }

  #uploadTile() {
    return h(
      "label",
      { class: "tile tile-upload", for: "portrait-file", "aria-busy": String(this.#uploading) },
      this.#input,
      this.#uploading ? h("span", { class: "spinner" }) : icon("upload"),
      h("span", { t: this.#uploading ? "portraits.checking" : "portraits.add" }),
    );
  }

  /** @param {Avatar} avatar @param {string|null} selected */
  #tile(avatar, selected) {
    const input = h("input", {
      type: "radio",
      name: "avatar",
      class: "sr-only",
      value: avatar.avatar_id,
      checked: avatar.avatar_id === selected,
      onchange: () => form.set({ avatarId: avatar.avatar_id, ...ANY_FACE }),
    });
    input.addEventListener("refocus", () => input.focus());
    return h(
      "label",
      { class: "tile", title: displayName(avatar) },
      input,
      avatarPicture(avatar, { alt: displayName(avatar), loading: "lazy", decoding: "async" }),
      h("span", { class: "tile-mark" }, icon("check")),
      avatar.warnings.length > 0 && h("span", { class: "tile-warning" }, icon("warning")),
    );
  }

  #renderDetails() {
    const hadFocus = this.#details.contains(document.activeElement);
    this.#fillDetails();
    if (hadFocus) this.#details.querySelector("input:checked")?.dispatchEvent(new Event("refocus"));
  }

  #fillDetails() {
    const avatar = library.avatar(form.value.avatarId);
    if (!avatar) {
      fill(this.#details, h("p", { class: "quiet", t: library.avatars.length ? "portraits.none_chosen" : "portraits.empty" }));
      return;
    }
    fill(
      this.#details,
      h(
        "div",
        { class: "picker-line" },
        h("span", { class: "picker-name" }, displayName(avatar)),
        portraitBadge(avatar),
        !avatar.builtin &&
          h(
            "button",
            {
              type: "button",
              class: "icon-button",
              tLabel: ["portraits.delete", { name: displayName(avatar) }],
              onclick: () => void this.#remove(avatar),
            },
            icon("trash"),
          ),
      ),
      ...shownWarnings(avatar).map((warning) => {
        const said = portraitWarning(warning, avatar);
        return h("p", { class: "inline-warning" }, icon("warning"), said ? h("span", { t: said }) : h("span", { lang: "en" }, warning.message));
      }),
      form.value.twoSpeakers && avatar.faces.length < 2 && h("p", { class: "inline-warning" }, icon("warning"), h("span", { t: "speakers.one_face" })),
      avatar.faces.length > 1 && faceChooser(avatar),
    );
  }

  /** @param {File} file */
  async #upload(file) {
    if (this.#uploading) return;
    this.#uploading = true;
    fill(this.#problem);
    this.#render();
    announce(t("portraits.checking"));
    try {
      const avatar = await library.addAvatar(file);
      form.set({ avatarId: avatar.avatar_id, ...ANY_FACE });
      announce(t("portraits.added", { name: displayName(avatar) }));
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#uploading = false;
      this.#render();
    }
  }

  /** @param {Avatar} avatar */
  async #remove(avatar) {
    const sure = await confirmLoss({
      title: "portraits.delete_title",
      body: ["portraits.delete_body", { name: displayName(avatar) }],
      action: "confirm.delete",
    });
    if (!sure) return;
    try {
      await library.removeAvatar(avatar.avatar_id);
      fill(this.#problem);
      form.set({ avatarId: defaultAvatar()?.avatar_id ?? null, ...ANY_FACE });
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}

/** Where two people talk, several faces are what is wanted. @param {Avatar} avatar */
const shownWarnings = (avatar) => avatar.warnings.filter((warning) => !(form.value.twoSpeakers && warning.code === "several_faces"));

/** What the finder of faces thought of it, in short. @param {Avatar} avatar */
function portraitBadge(avatar) {
  const n = shownWarnings(avatar).length;
  return h("span", { class: `badge ${n ? "badge-fallback" : "badge-ok"}`, t: n ? ["studio.portrait_doubts", { n }] : "studio.portrait_good" }, icon(n ? "warning" : "check"));
}

/** What a new user starts with. */
export const defaultAvatar = () => library.avatars.find((item) => item.default) ?? library.avatars[0];
