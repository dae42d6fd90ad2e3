/**
 * Cutting a picture: a frame that is moved and sized with pointer or arrow keys, in any shape or a fixed one.
 */
import { freshId, h } from "../lib/dom.js";
import { bindText } from "../lib/i18n.js";
import { isWhole, moved, resized, shaped, WHOLE } from "./crop-box.js";

/** @typedef {import("../api/avatars.js").Crop} Crop */
/** @typedef {import("./crop-box.js").Corner} Corner */

/** @type {[Corner, string][]} */
const CORNERS = [["nw", "avatarpage.corner_nw"], ["ne", "avatarpage.corner_ne"], ["sw", "avatarpage.corner_sw"], ["se", "avatarpage.corner_se"]];
/** Shapes: value, key or figure, width over height in pixels. @type {[string, string, number|null][]} */
const SHAPES = [["free", "avatarpage.shape_free", null], ["1:1", "options.aspect_square", 1], ["9:16", "options.aspect_tall", 9 / 16], ["16:9", "options.aspect_wide", 16 / 9]];
/** An arrow key moves so much of the picture, with Shift ten times as much. */
const KEY_STEP = 0.01;
/** Smaller cuts leave no face to find. */
const LEAST_PX = 96;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {number} fraction */
const percent = (fraction) => `${(fraction * 100).toFixed(3)}%`;

export class Cropper {
  /** @type {Crop} */
  #box = WHOLE;
  #shape = "free";
  #size = { width: 1, height: 1 };
  #image = h("img", { alt: "", draggable: "false" });
  #said = h("p", { class: "quiet crop-size", role: "status", id: freshId("crop-size") });
  #mover = h("button", { type: "button", class: "crop-move", tLabel: "avatarpage.crop_move", "aria-describedby": this.#said.id });
  #frame = h("div", { class: "crop-frame" }, this.#mover);
  #area = h("div", { class: "crop-area", role: "group", tLabel: "avatarpage.crop" }, this.#image, this.#frame);
  #reset = h("button", { type: "button", class: "link-button", t: "avatarpage.crop_whole", onclick: () => this.set(WHOLE, "free") });
  #shapes = SHAPES.map(([value]) => h("input", { type: "radio", name: freshId("shape"), class: "sr-only", value, onchange: () => this.#reshape(value) }));

  constructor() {
    const name = freshId("crop-shape");
    for (const input of this.#shapes) input.name = name;
    for (const [corner, key] of CORNERS) {
      const handle = h("button", { type: "button", class: `crop-handle crop-${corner}`, tLabel: key, "aria-describedby": this.#said.id });
      this.#drag(handle, (from, dx, dy) => resized(from, corner, dx, dy, this.#rules()));
      this.#frame.append(handle);
    }
    this.#drag(this.#mover, moved);
    this.element = h(
      "div",
      { class: "cropper" },
      this.#area,
      h(
        "div",
        { class: "crop-tools" },
        h("div", { class: "segments", role: "radiogroup", tLabel: "avatarpage.crop_shape" }, ...SHAPES.map(([, key], n) => h("label", { class: "segment" }, this.#shapes[n], h("span", { t: key })))),
        this.#said,
        this.#reset,
      ),
      h("p", { class: "quiet", t: "avatarpage.crop_hint" }),
    );
    this.#area.addEventListener("dragstart", (event) => event.preventDefault());
  }

  /** The cut, or null for all of the picture. @returns {Crop|null} */
  get value() {
    return isWhole(this.#box) ? null : this.#box;
  }

  /**
   * @param {string} address
   * @returns {Promise<boolean>} whether this browser can show the picture
   */
  async show(address) {
    this.#image.src = address;
    try {
      await this.#image.decode();
    } catch {
      return false;
    }
    this.#size = { width: this.#image.naturalWidth, height: this.#image.naturalHeight };
    this.#area.style.setProperty("--ratio", String(this.#size.width / this.#size.height));
    this.set(WHOLE, "free");
    return true;
  }

  /** @param {Crop} box @param {string} [shape] */
  set(box, shape = this.#shape) {
    this.#shape = shape;
    this.#box = box;
    this.#draw();
  }

  /** Bring the keyboard here. */
  focus() {
    this.#mover.focus();
  }

  /** @param {string} shape */
  #reshape(shape) {
    this.#shape = shape;
    this.set(shaped(this.#box, this.#rules().ratio));
  }

  #rules() {
    const { width, height } = this.#size;
    const pixels = SHAPES.find(([value]) => value === this.#shape)?.[2] ?? null;
    return {
      ratio: pixels === null ? null : (pixels * height) / width,
      least: { w: Math.min(1, LEAST_PX / width), h: Math.min(1, LEAST_PX / height) },
    };
  }

  /**
   * Pointer and arrow keys change the box alike.
   * @param {HTMLElement} handle
   * @param {(from: Crop, dx: number, dy: number) => Crop} change
   */
  #drag(handle, change) {
    handle.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow) return;
      event.preventDefault();
      const step = KEY_STEP * (event.shiftKey ? 10 : 1);
      this.set(change(this.#box, arrow[0] * step, arrow[1] * step));
    });
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      handle.focus();
      handle.setPointerCapture(event.pointerId);
      const from = this.#box;
      const { width, height } = this.#area.getBoundingClientRect();
      const move = (/** @type {PointerEvent} */ next) => this.set(change(from, (next.clientX - event.clientX) / width, (next.clientY - event.clientY) / height));
      const end = () => {
        handle.removeEventListener("pointermove", move);
        handle.removeEventListener("pointerup", end);
        handle.removeEventListener("pointercancel", end);
      };
      handle.addEventListener("pointermove", move);
      handle.addEventListener("pointerup", end);
      handle.addEventListener("pointercancel", end);
    });
  }

  #draw() {
    const { x, y, w, h: tall } = this.#box;
    for (const [name, value] of Object.entries({ left: x, top: y, width: w, height: tall })) this.#frame.style.setProperty(name, percent(value));
    for (const input of this.#shapes) input.checked = input.value === this.#shape;
    bindText(this.#said, "avatarpage.crop_size", { w: Math.round(w * this.#size.width), h: Math.round(tall * this.#size.height) });
    this.#reset.hidden = isWhole(this.#box);
  }
}
