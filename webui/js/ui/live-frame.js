/**
 * What a running job looks like so far: the small pictures that an engine leaves while it works.
 */
import { getPreview } from "../api/endpoints.js";
import { h } from "../lib/dom.js";
import { library } from "../state/library.js";

/** @typedef {import("../types.js").Job} Job */

/** Engines leave one every two seconds at most. */
const LOOK_EVERY_MS = 3000;

export class LiveFrame {
  element = h("img", { class: "live-frame", tAlt: "stage.live", hidden: true });
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #timer;
  /** The picture that is shown, as a blob's address. @type {string|null} */
  #shown = null;

  /** @param {Job} job */
  update(job) {
    // The draft engine leaves none.
    const isMaking = ["processing", "fallback"].includes(job.status) && job.stage === "video";
    if (isMaking && library.engine(job.selected_engine)?.kind === "gpu") {
      this.#timer ??= setInterval(() => void this.#look(job.job_id), LOOK_EVERY_MS);
    } else this.#stop();
  }

  /** @param {string} id */
  async #look(id) {
    // A panel that was left, or a dialog that was closed, has nobody to show it to; the next `update` begins again.
    if (!this.element.isConnected || this.element.closest("dialog:not([open])")) {
      this.#stop();
      return;
    }
    /** @type {Blob|null} */
    let picture = null;
    try {
      picture = await getPreview(id);
    } catch {
      // The progress beside it says what is wrong; the last picture stays.
      return;
    }
    if (!picture || !this.#timer) return;
    const old = this.#shown;
    this.#shown = URL.createObjectURL(picture);
    this.element.src = this.#shown;
    this.element.hidden = false;
    if (old) URL.revokeObjectURL(old);
  }

  #stop() {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.element.hidden = true;
    if (this.#shown) URL.revokeObjectURL(this.#shown);
    this.#shown = null;
  }
}
