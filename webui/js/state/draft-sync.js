/**
 * The composer's draft on the server, so that a reload, another tab and a phone find the same; the browser keeps a copy.
 *
 * What was changed here and is not on the server yet is known by the names of its fields, over reloads too: these are
 * sent, and everything else is taken from there. Words that two windows wrote at once cannot be mixed: this window's
 * stay, and the others' are kept as its `rival`. Fires `change` when its `state` or its `rival` does.
 */
import { ApiError, problemOf } from "../api/client.js";
import { getDraft, listDrafts, putDraft } from "../api/endpoints.js";
import { debounce } from "../lib/dom.js";
import { readPref, writePref } from "../lib/prefs.js";
import { form } from "./form.js";

const NAME = "studio";
/** Where the browser keeps the names of fields that are still to be sent, beside the form's own copy. */
const UNSENT = "draft-unsent";
/** The server's revision that these were changed upon, and what another window wrote meanwhile. */
const UPON = "draft-upon";
const RIVAL = "draft-rival";
/** What people write themselves; everything else is chosen again in a moment. @type {(keyof import("./form.js").FormState)[]} */
const WORDS = ["script", "title", "prompt"];
const SAVE_AFTER_MS = 1500;
/** After an answer that did not come. */
const AGAIN_AFTER_MS = 10_000;
/** Browsers send up to 64 KiB for a page that is gone. */
const MOST_KEPT_ALIVE = 64_000;
/** Which of two is being looked at is the matter of one page. */
const OWN = new Set(["speaking"]);

class DraftSync extends EventTarget {
  /** "local" when only this browser has it, "" before anybody knows. @type {""|"saved"|"saving"|"local"} */
  state = "";
  /** The other version of what two windows wrote at once. @type {Record<string, string>|null} */
  rival = readPref(RIVAL, /** @type {Record<string, string>|null} */ (null));
  /** Of what the server has; null while it has none or nobody has looked. @type {number|null} */
  #revision = null;
  /** As the server and this page had it in common last. @type {Record<string, unknown>|null} */
  #common = null;
  /** Fields that the server does not have as they stand here. @type {Set<string>} */
  #changed = new Set(readPref(UNSENT, /** @type {string[]} */ ([])));
  /** One exchange at a time: an answer that was overtaken would bring back what was there before. @type {Promise<void>|null} */
  #running = null;
  #isTaking = false;
  #isOn = true;
  #save = debounce(() => void this.sync(), SAVE_AFTER_MS);
  #again = debounce(() => this.#changed.size && void this.sync(), AGAIN_AFTER_MS);

  constructor() {
    super();
    // From the first moment: what is typed while the service is away is newer than what it has.
    form.addEventListener("change", (event) => {
      const names = /** @type {CustomEvent<string[]>} */ (event).detail.filter((name) => !OWN.has(name));
      if (this.#isTaking || !this.#isOn || !names.length) return;
      for (const name of names) this.#changed.add(name);
      this.#keep();
      this.#set("saving");
      this.#save();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden" && this.#changed.size) void this.sync({ isLeaving: true });
    });
  }

  /**
   * Send what was changed here; take over what another tab or a phone wrote.
   * @param {{isLeaving?: boolean}} [how]  `isLeaving`: the page may be gone before the answer comes
   */
  sync({ isLeaving = false } = {}) {
    this.#running ??= this.#exchange(isLeaving).finally(() => {
      this.#running = null;
      // Typed meanwhile.
      if (this.#changed.size && this.state === "saving") this.#save();
    });
    return this.#running;
  }

  /** @param {boolean} isLeaving */
  async #exchange(isLeaving) {
    if (!this.#isOn) return;
    try {
      if (!isLeaving && (this.#revision === null || !this.#changed.size)) await this.#read();
      // The first page to come here brings what its browser kept.
      if (this.#changed.size || (this.#revision === null && !form.isFresh)) await this.#send(isLeaving);
      if (this.#revision !== null) this.#set(this.#changed.size ? "saving" : "saved");
    } catch (error) {
      // A service without drafts keeps none.
      if (error instanceof ApiError && error.status === 404) this.#isOn = false;
      this.#set("local");
      this.#again();
    }
  }

  /** Take what the server has, but for what was changed here. */
  async #read() {
    const { data } = await listDrafts();
    const draft = data.some((item) => item.name === NAME) ? await getDraft(NAME) : null;
    if (draft && draft.revision !== this.#revision) {
      this.#spare(draft);
      this.#settle(draft.body);
      this.#isTaking = true;
      form.take(Object.fromEntries(Object.entries(draft.body).filter(([name]) => !this.#changed.has(name))));
      this.#isTaking = false;
    }
    this.#agree(draft?.revision ?? null, draft?.body ?? null);
  }

  /** @param {number|null} revision @param {Record<string, unknown>|null} body */
  #agree(revision, body) {
    this.#revision = revision;
    this.#common = body;
    writePref(UPON, revision);
  }

  /**
   * Put aside the words of another window where this one has its own, but for what these hold anyway.
   * @param {{revision: number, body: Record<string, unknown>}} theirs
   */
  #spare({ revision, body }) {
    if ((this.#revision ?? readPref(UPON, null)) === revision) return;
    const rivals = WORDS.filter((name) => {
      const words = body[name];
      return this.#changed.has(name) && typeof words === "string" && words !== this.#common?.[name] && !String(form.value[name]).includes(words.trim());
    });
    if (rivals.length) this.#oppose(Object.fromEntries(rivals.map((name) => [name, String(body[name])])));
  }

  /** @param {Record<string, string>|null} rival */
  #oppose(rival) {
    this.rival = rival;
    writePref(RIVAL, rival);
    this.dispatchEvent(new Event("change"));
  }

  /** Take the other version; this one becomes the other. */
  swapRival() {
    if (!this.rival) return;
    const theirs = this.rival;
    this.#oppose(Object.fromEntries(Object.keys(theirs).map((name) => [name, String(mine()[name] ?? "")])));
    form.take(theirs);
  }

  /** This version is the one. */
  dropRival() {
    this.#oppose(null);
  }

  /** @param {boolean} isLeaving */
  async #send(isLeaving) {
    this.#set("saving");
    let body = mine();
    const put = isLeaving ? putOnLeaving : putDraft;
    const kept = await put(NAME, { body, revision: this.#revision }).catch(async (error) => {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      // Somebody else wrote: theirs stays, with what was changed here.
      await this.#read();
      body = mine();
      return putDraft(NAME, { body, revision: this.#revision });
    });
    this.#agree(kept.revision, body);
    this.#settle(body);
  }

  /** Nothing is to be sent of what the server has as it stands here. @param {Record<string, unknown>} body */
  #settle(body) {
    const now = mine();
    for (const name of this.#changed) if (now[name] === body[name]) this.#changed.delete(name);
    this.#keep();
  }

  #keep() {
    writePref(UNSENT, [...this.#changed]);
  }

  /** @param {"saved"|"saving"|"local"} state */
  #set(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

/** The form as the server keeps it. @returns {Record<string, unknown>} */
const mine = () => Object.fromEntries(Object.entries(form.value).filter(([name]) => !OWN.has(name)));

/**
 * A page that is closed takes its requests with it, but for small ones that are marked.
 * @type {typeof putDraft}
 */
async function putOnLeaving(name, draft) {
  const body = JSON.stringify(draft);
  const answer = await fetch(`/api/drafts/${encodeURIComponent(name)}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body,
    keepalive: new Blob([body]).size < MOST_KEPT_ALIVE,
  });
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

export const draftSync = new DraftSync();
