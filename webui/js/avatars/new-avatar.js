/**
 * A new portrait: a picture from a file, a drop or the clipboard, cut to what is wanted, and a name.
 */
import { addAvatar } from "../api/avatars.js";
import { fill, h } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { acceptFiles } from "../ui/file-drop.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { Cropper } from "./cropper.js";

const MIB = 1024 * 1024;
const ADVICE = ["avatarpage.advice_front", "avatarpage.advice_light", "avatarpage.advice_sharp", "avatarpage.advice_free"];

/** The picture of a paste, or null. @param {ClipboardEvent} event */
export const pastedPicture = (event) => [...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? null;

export class NewAvatar {
  /** @type {File|null} */
  #file = null;
  #address = "";
  /** Whether this browser can show it, so that it can be cut here. */
  #isShown = false;
  #busy = false;
  /** Whether the name was typed, and not taken from a file. */
  #named = false;
  #done;
  #cropper = new Cropper();
  #input = h("input", { type: "file", id: "new-avatar-file", class: "sr-only", accept: "image/*,.heic,.heif,video/mp4,video/quicktime,video/webm" });
  #drop = h("label", { class: "drop avatar-drop", for: "new-avatar-file" }, this.#input, icon("upload"), h("span", { t: "avatarpage.drop" }));
  #picture = h("div", { class: "avatar-picture" }, this.#drop);
  #name = h("input", { type: "text", id: "new-avatar-name", class: "input", maxlength: 100, autocomplete: "off", oninput: () => (this.#named = this.#name.value.trim() !== "") });
  #why = h("p", { class: "quiet", id: "new-avatar-why" });
  #problem = h("div", {});
  #submit = h("button", { type: "submit", class: "button button-primary", "aria-describedby": "new-avatar-why" });

  /** @param {(avatarId: string) => void} done */
  constructor(done) {
    this.#done = done;
    this.element = h(
      "form",
      { class: "new-avatar", onsubmit: (/** @type {Event} */ event) => void this.#send(event) },
      h("section", { class: "card avatar-card", "aria-labelledby": "picture-title" }, h("h3", { id: "picture-title", t: "avatarpage.picture" }), this.#picture),
      h(
        "section",
        { class: "card avatar-card", "aria-labelledby": "avatar-about-title" },
        h("h3", { id: "avatar-about-title", t: "avatarpage.about" }),
        h("div", { class: "field" }, h("label", { class: "field-label", for: "new-avatar-name", t: "clone.name" }), this.#name),
        this.#problem,
        h("div", { class: "card-actions" }, this.#submit, this.#why),
        h("h4", { t: "avatarpage.advice" }),
        h("ul", { class: "advice" }, ...ADVICE.map((key) => h("li", {}, icon("check"), h("span", { t: key })))),
        h("p", { class: "quiet", t: "avatarpage.consent" }),
      ),
    );
    acceptFiles(this.element, this.#input, (file) => void this.choose(file));
    this.#update();
  }

  close() {
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
  }

  /** @param {File} file */
  async choose(file) {
    if (this.#busy) return;
    this.close();
    fill(this.#problem);
    this.#file = file;
    if (!this.#named) this.#name.value = file.name.replace(/\.[^.]+$/, "").slice(0, 100);
    this.#address = URL.createObjectURL(file);
    const mine = this.#address;
    const isVideo = file.type.startsWith("video/");
    const shown = !isVideo && (await this.#cropper.show(mine));
    if (mine !== this.#address) return;
    this.#isShown = shown;
    fill(
      this.#picture,
      isVideo && h("video", { class: "avatar-video", src: mine, controls: true, muted: true, playsinline: true, preload: "metadata", tLabel: "avatarpage.video" }),
      shown ? this.#cropper.element : note(file.name, isVideo ? "avatarpage.video_note" : "avatarpage.not_shown"),
      this.#drop,
    );
    bindText(/** @type {Element} */ (this.#drop.querySelector("span")), "avatarpage.other");
    this.#drop.classList.add("is-small");
    this.#update();
  }

  /** Why the button cannot work yet. @returns {string|null} */
  #obstacle() {
    if (this.#busy) return "portraits.checking";
    if (!this.#file) return "avatarpage.need_file";
    if (this.#file.size > library.limits.max_image_mib * MIB) return "avatarpage.too_large";
    return null;
  }

  #update() {
    const obstacle = this.#obstacle();
    this.#submit.setAttribute("aria-disabled", String(obstacle !== null));
    fill(this.#submit, this.#busy ? h("span", { class: "spinner" }) : icon("plus"), h("span", { t: "avatarpage.add" }));
    bindText(this.#why, obstacle ?? "clone.ready", { n: library.limits.max_image_mib });
  }

  /** @param {Event} event */
  async #send(event) {
    event.preventDefault();
    if (this.#obstacle() || !this.#file) {
      if (!this.#file) this.#input.focus();
      return;
    }
    this.#busy = true;
    fill(this.#problem);
    this.#update();
    announce(t("portraits.checking"));
    try {
      const crop = this.#isShown ? this.#cropper.value : null;
      const avatar = await addAvatar(this.#file, { name: this.#name.value.trim() || this.#file.name, crop });
      await library.loadAvatars();
      announce(t("avatarpage.added", { name: avatar.name }));
      this.#done(avatar.avatar_id);
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#busy = false;
      this.#update();
    }
  }
}

/** @param {string} title @param {string} key */
const note = (title, key) =>
  h("div", { class: "notice notice-draft" }, icon("info"), h("div", { class: "notice-body" }, h("p", { class: "notice-title" }, title), h("p", { t: key })));
