/**
 * One portrait: what was found in it, what could be better and how, and what may be changed.
 */
import { cropAvatar, getAvatar, renameAvatar } from "../api/avatars.js";
import { fill, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { bindText, hasText, t } from "../lib/i18n.js";
import { go } from "../shell/router.js";
import { form } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { confirmLoss } from "../ui/confirm.js";
import { icon } from "../ui/icons.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { portraitWarning } from "../ui/wording.js";
import { aroundFace, withinOriginal } from "./crop-box.js";
import { openCropper } from "./crop-dialog.js";
import { MarkedPicture } from "./marked-picture.js";

/** @typedef {import("../types.js").Avatar} Avatar */

/** A face of less than this share of the picture's height speaks, but little is seen of it. */
const SMALL_IN_PICTURE = 0.25;

export class AvatarPage {
  #id;
  /** @type {Avatar|null} */
  #avatar = null;
  #title = h("h2", { class: "screen-title", tabindex: "-1" });
  #actions = h("div", { class: "screen-actions" });
  #problem = h("div", {});
  #marked = new MarkedPicture((index) => this.#showFace(index));
  #findings = h("section", { class: "card avatar-card", "aria-labelledby": "found-title" });
  #face = h("p", { class: "quiet", role: "status" });
  #about = h("div", {});
  #columns = h(
    "div",
    { class: "avatar-columns", hidden: true },
    h("div", { class: "card avatar-card" }, this.#marked.element, this.#face),
    h("div", { class: "avatar-column" }, this.#findings, this.#about),
  );

  /** @param {string} id */
  constructor(id) {
    this.#id = id;
    this.element = h(
      "div",
      { class: "avatar-detail" },
      h("a", { class: "back-link", href: "#/avatars", t: "avatarpage.back" }, icon("back")),
      h("header", { class: "screen-head" }, this.#title, this.#actions),
      this.#problem,
      this.#columns,
    );
    bindText(this.#title, "stage.loading");
    const known = library.avatar(id);
    if (known) this.#show(known);
    void this.#load();
  }

  close() {
    // Nothing runs here.
  }

  /** Words that depend on the language. */
  localeChanged() {
    if (this.#avatar) this.#show(this.#avatar);
  }

  async #load() {
    try {
      const avatar = await getAvatar(this.#id);
      if (this.element.isConnected) this.#show(avatar);
    } catch (error) {
      this.#columns.hidden = true;
      fill(this.#actions);
      bindText(this.#title, "avatarpage.not_there");
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }

  /** @param {Avatar} avatar */
  #show(avatar) {
    const first = this.#avatar === null;
    this.#avatar = avatar;
    this.#columns.hidden = false;
    delete this.#title.dataset.i18n;
    this.#title.textContent = displayName(avatar);
    this.#marked.show(avatar);
    this.#showFace(avatar.chosen);
    this.#showFindings(avatar);
    fill(
      this.#actions,
      h("button", { type: "button", class: "button button-primary", t: "voicepage.use", onclick: () => this.#use() }, icon("studio")),
      canCut(avatar) && h("button", { type: "button", class: "button", t: "avatarpage.crop_again", onclick: () => this.#cut(avatar.crop ?? null) }, icon("crop")),
      !avatar.builtin && h("button", { type: "button", class: "button button-quiet", t: "job.delete", onclick: () => void this.#remove(avatar) }, icon("trash")),
    );
    if (first && !avatar.builtin) fill(this.#about, this.#aboutForm(avatar));
  }

  /** @param {number} index */
  #showFace(index) {
    const face = this.#avatar?.faces[index];
    if (!face) return;
    bindText(this.#face, (this.#avatar?.faces.length ?? 0) > 1 ? "avatarpage.face_of" : "avatarpage.face_one", { n: index + 1, px: number(Math.round(face.size_px)) });
  }

  /** @param {Avatar} avatar */
  #showFindings(avatar) {
    const report = avatar.report ?? avatar.warnings.map((warning) => ({ ...warning, fix: "" }));
    const source = [
      h("div", {}, h("dt", { t: "avatarpage.size" }), h("dd", {}, `${avatar.width} × ${avatar.height}`)),
      h("div", {}, h("dt", { t: "avatarpage.found_faces" }), h("dd", {}, number(avatar.faces.length))),
    ];
    fill(
      this.#findings,
      h("h3", { id: "found-title", t: "avatarpage.found" }),
      avatar.video && h("p", { class: "quiet", t: "avatarpage.video_note" }),
      report.length > 0
        ? h("ul", { class: "findings" }, ...report.map((found) => this.#finding(found, avatar)))
        : h("p", { class: "finding-ok", t: "avatarpage.clean" }, icon("check")),
      h("dl", { class: "facts" }, ...source),
      canCut(avatar) && avatar.faces.some((face) => face.h < SMALL_IN_PICTURE) && this.#faceCut(avatar),
    );
  }

  /** @param {Avatar} avatar */
  #faceCut(avatar) {
    const cut = () => this.#cut(withinOriginal(aroundFace(avatar.faces[this.#marked.chosen]), avatar.crop ?? null));
    return h("div", { class: "card-actions" }, h("button", { type: "button", class: "button", t: "avatarpage.crop_face", onclick: cut }, icon("crop")));
  }

  /** @param {{code: string, message: string, fix: string}} found @param {Avatar} avatar */
  #finding(found, avatar) {
    const said = portraitWarning(found, avatar);
    const fix = `avatarpage.fix_${found.code}`;
    const isNote = ["several_faces", "rotated", "drawn"].includes(found.code);
    return h(
      "li",
      { class: isNote ? "finding" : "finding finding-warning" },
      icon(isNote ? "info" : "warning"),
      h(
        "div",
        {},
        said ? h("p", { t: said }) : h("p", { lang: "en" }, found.message),
        hasText(fix) ? h("p", { class: "quiet", t: fix }) : found.fix && h("p", { class: "quiet", lang: "en" }, found.fix),
      ),
    );
  }

  /** @param {Avatar} avatar */
  #aboutForm(avatar) {
    const name = h("input", { type: "text", id: "avatar-name", class: "input", maxlength: 100, autocomplete: "off" });
    const state = h("p", { class: "quiet" });
    name.value = avatar.name;
    return h(
      "form",
      {
        class: "card avatar-card",
        "aria-labelledby": "avatar-name-title",
        oninput: () => fill(state),
        onsubmit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          if (!name.value.trim()) return;
          fill(this.#problem);
          try {
            const saved = await renameAvatar(this.#id, name.value.trim());
            await library.loadAvatars();
            this.#show({ ...avatar, ...saved });
            announce(t("voice.saved"));
            bindText(state, "voice.saved");
          } catch (error) {
            fill(this.#problem, problemBox(asProblem(error)));
          }
        },
      },
      h("h3", { id: "avatar-name-title", t: "clone.name" }),
      h("label", { class: "sr-only", for: "avatar-name", t: "clone.name" }),
      name,
      h("div", { class: "card-actions" }, h("button", { type: "submit", class: "button", t: "voice.save" }), state),
    );
  }

  #use() {
    const avatar = this.#avatar;
    if (!avatar) return;
    const { chosen } = this.#marked;
    form.set({ avatarId: avatar.avatar_id, faceIndex: chosen === avatar.chosen ? null : chosen, faceA: null, faceB: null });
    announce(t("avatarpage.used"));
    go("#/");
  }

  /** @param {import("../api/avatars.js").Crop|null} start */
  #cut(start) {
    void openCropper({
      address: this.#avatar?.original_url ?? "",
      start,
      cut: async (crop) => {
        const made = await cropAvatar(this.#id, crop);
        await library.loadAvatars();
        announce(t("avatarpage.added", { name: made.name }));
        go(`#/avatars/${made.avatar_id}`);
      },
    });
  }

  /** @param {Avatar} avatar */
  async #remove(avatar) {
    const sure = await confirmLoss({ title: "portraits.delete_title", body: ["portraits.delete_body", { name: displayName(avatar) }], action: "confirm.delete" });
    if (!sure) return;
    try {
      await library.removeAvatar(avatar.avatar_id);
      if (form.value.avatarId === avatar.avatar_id) {
        const next = library.avatars.find((item) => item.default) ?? library.avatars[0];
        form.set({ avatarId: next?.avatar_id ?? null, faceIndex: null, faceA: null, faceB: null });
      }
      go("#/avatars");
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    }
  }
}

/** A part can be cut out of a picture that was kept, not out of a video. @param {Avatar} avatar */
const canCut = (avatar) => Boolean(avatar.original_url) && !avatar.video;
