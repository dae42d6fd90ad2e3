/**
 * What the next video will be: the state of the composer, kept over reloads. Fires `change` with
 * the names of the changed fields.
 */
import { countCharacters } from "../lib/text.js";
import { debounce } from "../lib/dom.js";
import { readPref, writePref } from "../lib/prefs.js";
import { library } from "./library.js";

/**
 * @typedef {object} FormState
 * @property {string|null} avatarId
 * @property {number|null} faceIndex  null: the face the service chose
 * @property {string|null} voiceId
 * @property {string} script
 * @property {string} title
 * @property {string} aspect
 * @property {string} resolution
 * @property {string} subtitles
 * @property {number} speed
 * @property {number} pauseMs
 * @property {string} language
 * @property {number} pitch  semitones
 * @property {string} speechEngine
 * @property {string} engine
 * @property {string} wangpModel  "" lets the engine choose
 * @property {string} prompt
 * @property {string} seed  "" is a new one each time
 * @property {boolean} allowFallback
 */

/** @type {FormState} */
const EMPTY = {
  avatarId: null,
  faceIndex: null,
  voiceId: null,
  script: "",
  title: "",
  aspect: "1:1",
  resolution: "512p",
  subtitles: "file",
  speed: 1,
  pauseMs: 300,
  language: "auto",
  pitch: 0,
  speechEngine: "auto",
  engine: "auto",
  wangpModel: "",
  prompt: "",
  seed: "",
  allowFallback: true,
};

const SAVE_AFTER_MS = 300;

/** Fields whose stored type is not the expected one are dropped. @returns {FormState} */
function restore() {
  const stored = readPref("draft", /** @type {Record<string, unknown>} */ ({}));
  const state = /** @type {Record<string, unknown>} */ ({ ...EMPTY });
  for (const [name, value] of Object.entries(EMPTY)) {
    const kept = stored?.[name];
    if (value === null ? ["string", "number"].includes(typeof kept) : typeof kept === typeof value) state[name] = kept;
  }
  return /** @type {FormState} */ (/** @type {unknown} */ (state));
}

class Form extends EventTarget {
  #state = restore();
  #save = debounce(() => writePref("draft", this.#state), SAVE_AFTER_MS);

  constructor() {
    super();
    addEventListener("pagehide", () => writePref("draft", this.#state));
  }

  /** @returns {Readonly<FormState>} */
  get value() {
    return this.#state;
  }

  /** @param {Partial<FormState>} patch */
  set(patch) {
    const names = /** @type {(keyof FormState)[]} */ (Object.keys(patch));
    const changed = names.filter((name) => this.#state[name] !== patch[name]);
    if (!changed.length) return;
    this.#state = { ...this.#state, ...patch };
    this.#save();
    this.dispatchEvent(new CustomEvent("change", { detail: changed }));
  }

  /** Take over the settings of an earlier job. @param {import("../types.js").Job} job */
  useJob(job) {
    this.set({
      avatarId: job.avatar_url,
      faceIndex: null,
      voiceId: job.voice_id,
      script: job.script_input,
      title: job.title,
      aspect: job.output.aspect,
      resolution: job.output.resolution,
      subtitles: job.output.subtitles,
      speed: job.voice_settings.speed,
      pauseMs: job.voice_settings.pause_ms,
      language: job.voice_settings.language,
      pitch: job.voice_settings.pitch ?? 0,
      speechEngine: "auto",
      engine: job.requested_engine,
      wangpModel: job.wangp_model ?? "",
      seed: job.seed === null ? "" : String(job.seed),
    });
  }

  /**
   * What keeps Generate from working, as a key of the locale table with the control to go to, or null.
   * @returns {{key: string, control: string}|null}
   */
  obstacle() {
    const { avatarId, voiceId, script, seed } = this.#state;
    if (!avatarId) return { key: "generate.need_portrait", control: "portraits" };
    if (!voiceId) return { key: "generate.need_voice", control: "voices" };
    if (!script.trim()) return { key: "generate.need_script", control: "script" };
    if (countCharacters(script) > library.limits.max_script_chars) return { key: "generate.too_long", control: "script" };
    if (seed && !isSeed(seed)) return { key: "generate.bad_seed", control: "seed" };
    return null;
  }

  /** The body of `POST /api/jobs`. */
  body() {
    const state = this.#state;
    return {
      voice_id: state.voiceId,
      avatar_url: state.avatarId,
      script_mode: "manual",
      script_input: state.script,
      preferred_engine: state.engine,
      wangp_model: state.wangpModel || null,
      title: state.title.trim(),
      prompt: state.prompt.trim(),
      output: { aspect: state.aspect, resolution: state.resolution, subtitles: state.subtitles },
      voice_settings: { speed: state.speed, pause_ms: state.pauseMs, language: state.language, pitch: state.pitch },
      speech_engine: state.speechEngine,
      fallback: { allow: state.allowFallback },
      face_index: state.faceIndex,
      seed: state.seed ? Number(state.seed) : null,
    };
  }
}

/** Seeds are whole numbers below 2^31. @param {string} text */
const isSeed = (text) => /^\d{1,10}$/.test(text) && Number(text) <= 2 ** 31 - 1;

export const form = new Form();
