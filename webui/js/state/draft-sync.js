/**
 * The composer's draft on the server, so that a reload, another tab and a phone find the same; the browser keeps a copy.
 *
 * Fires `change` when its `state` does.
 */
import { ApiError } from "../api/client.js";
import { getDraft, listDrafts, putDraft } from "../api/endpoints.js";
import { debounce } from "../lib/dom.js";
import { form } from "./form.js";

const NAME = "studio";
const SAVE_AFTER_MS = 1500;
/** After an answer that did not come. */
const AGAIN_AFTER_MS = 10_000;
/** Which of two is being looked at is the matter of one page. */
const OWN = new Set(["speaking"]);

class DraftSync extends EventTarget {
  /** "local" when only this browser has it, "" before anybody knows. @type {""|"saved"|"saving"|"local"} */
  state = "";
  /** Of what the server has; null while it has none. @type {number|null} */
  #revision = null;
  #isDirty = false;
  #isBusy = false;
  #isTaking = false;
  #isOn = false;
  #save = debounce(() => void this.#send(), SAVE_AFTER_MS);

  /** What the server has is taken over; then every change is sent to it. */
  async start() {
    this.#isOn = true;
    // What is typed while the answer is on its way is newer than it.
    form.addEventListener("change", (event) => {
      const changed = /** @type {CustomEvent<string[]>} */ (event).detail;
      if (this.#isTaking || changed.every((name) => OWN.has(name))) return;
      this.#isDirty = true;
      this.#set("saving");
      this.#save();
    });
    // Another tab or a phone may have written meanwhile.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.#take();
      else if (this.#isDirty) void this.#send();
    });
    await this.#take();
  }

  /** Read what is there, unless something newer stands here. */
  async #take() {
    if (!this.#isOn || this.#isDirty || this.#isBusy) return;
    try {
      const { data } = await listDrafts();
      if (!data.some((draft) => draft.name === NAME)) {
        // The first page to come here brings what its browser kept.
        if (!form.isFresh) await this.#send();
        return;
      }
      const draft = await getDraft(NAME);
      if (this.#isDirty || draft.revision === this.#revision) return;
      this.#revision = draft.revision;
      this.#isTaking = true;
      form.take(draft.body);
      this.#isTaking = false;
      this.#set("saved");
    } catch (error) {
      this.#failed(error);
    }
  }

  async #send() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#isDirty = false;
    this.#set("saving");
    try {
      const body = Object.fromEntries(Object.entries(form.value).filter(([name]) => !OWN.has(name)));
      const kept = await this.#put(body);
      this.#revision = kept.revision;
      this.#set(this.#isDirty ? "saving" : "saved");
    } catch (error) {
      this.#isDirty = true;
      this.#failed(error);
      if (this.#isOn) setTimeout(() => void this.#send(), AGAIN_AFTER_MS);
    } finally {
      this.#isBusy = false;
      if (this.#isDirty && this.state === "saving") this.#save();
    }
  }

  /** Who types now wins over what was written elsewhere meanwhile. @param {object} body */
  async #put(body) {
    try {
      return await putDraft(NAME, { body, revision: this.#revision });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      const { revision } = await getDraft(NAME);
      return putDraft(NAME, { body, revision });
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    // A service without drafts keeps none.
    if (error instanceof ApiError && error.status === 404) this.#isOn = false;
    this.#set("local");
  }

  /** @param {"saved"|"saving"|"local"} state */
  #set(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

export const draftSync = new DraftSync();
