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
 * @property {boolean} twoSpeakers  a conversation: the portrait's two faces each have a voice
 * @property {string} speaking  "A" or "B": whose voice and face are being chosen
 * @property {string} nameA  what the script calls them
 * @property {string} nameB
 * @property {string|null} voiceIdB
 * @property {number|null} faceA  null: the left one of the two first faces
 * @property {number|null} faceB
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
 * @property {string} preset  how InfiniteTalk weighs quality and time
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
  twoSpeakers: false,
  speaking: "A",
  nameA: "A",
  nameB: "B",
  voiceIdB: null,
  faceA: null,
  faceB: null,
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
  preset: "balanced",
  wangpModel: "",
  prompt: "",
  seed: "",
  allowFallback: true,
};

const SAVE_AFTER_MS = 300;
/** The two of a conversation, as the form keeps them apart; what they are called is theirs. */
export const SPEAKERS = ["A", "B"];
/** As the service allows them. */
const MOST_NAME = 32;
/** Boxes closer than this are one face: they went through JSON and back. */
const SAME = 0.01;

/** Fields whose stored type is not the expected one are dropped. @param {Record<string, unknown>|null} stored @returns {FormState} */
function restore(stored) {
  const state = /** @type {Record<string, unknown>} */ ({ ...EMPTY });
  for (const [name, value] of Object.entries(EMPTY)) {
    const kept = stored?.[name];
    if (value === null ? ["string", "number"].includes(typeof kept) : typeof kept === typeof value) state[name] = kept;
  }
  return /** @type {FormState} */ (/** @type {unknown} */ (state));
}

class Form extends EventTarget {
  #state = restore(readPref("draft", null));
  /** Nothing was ever chosen in this browser. */
  isFresh = readPref("draft", null) === null;
  #isKept = true;
  #save = debounce(() => this.#keep(), SAVE_AFTER_MS);

  constructor() {
    super();
    addEventListener("pagehide", () => this.#keep());
  }

  /** A tab where nothing was changed leaves alone what another one kept. */
  #keep() {
    if (!this.#isKept) this.#isKept = writePref("draft", this.#state);
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
    this.#isKept = false;
    this.#save();
    this.dispatchEvent(new CustomEvent("change", { detail: changed }));
  }

  /** Take over what was kept elsewhere. @param {Record<string, unknown>} kept  fields that do not fit are left out */
  take(kept) {
    this.isFresh = false;
    this.set(restore({ ...this.#state, ...kept }));
  }

  /** What the two are called in the script. @returns {[string, string]} */
  get names() {
    return [this.#state.nameA.trim(), this.#state.nameB.trim()];
  }

  /** The voice of whoever is being chosen for. */
  get chosenVoice() {
    const { twoSpeakers, speaking, voiceId, voiceIdB } = this.#state;
    return twoSpeakers && speaking === "B" ? voiceIdB : voiceId;
  }

  /** @param {string|null} id */
  chooseVoice(id) {
    this.set(this.#state.twoSpeakers && this.#state.speaking === "B" ? { voiceIdB: id } : { voiceId: id });
  }

  /** Take over the settings of an earlier job. @param {import("../types.js").Job} job */
  useJob(job) {
    const [a, b] = job.speakers ?? [];
    const faces = library.avatar(job.avatar_url)?.faces ?? [];
    this.set({
      avatarId: job.avatar_url,
      faceIndex: null,
      voiceId: a?.voice_id ?? job.voice_id,
      twoSpeakers: Boolean(a && b),
      speaking: "A",
      nameA: a?.name ?? "A",
      nameB: b?.name ?? "B",
      voiceIdB: b?.voice_id ?? null,
      faceA: faceAt(faces, a?.face),
      faceB: faceAt(faces, b?.face),
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
      preset: job.preset ?? this.#state.preset,
      wangpModel: job.wangp_model ?? "",
      seed: job.seed === null ? "" : String(job.seed),
    });
  }

  /**
   * What keeps Generate from working, as a key of the locale table with the control to go to, or null.
   * @returns {{key: string, control: string}|null}
   */
  obstacle() {
    const { avatarId, voiceId, voiceIdB, twoSpeakers, script, seed } = this.#state;
    if (!avatarId) return { key: "generate.need_portrait", control: "portraits" };
    if (twoSpeakers && !areNames(this.names)) return { key: "generate.bad_names", control: "speaker-a" };
    if (twoSpeakers && this.pair() === null) return { key: "generate.need_two_faces", control: "portraits" };
    if (twoSpeakers && !voiceIdB) return { key: "generate.need_second_voice", control: "voices" };
    if (!voiceId) return { key: "generate.need_voice", control: "voices" };
    if (!script.trim()) return { key: "generate.need_script", control: "script" };
    if (countCharacters(script) > library.limits.max_script_chars) return { key: "generate.too_long", control: "script" };
    if (seed && !isSeed(seed)) return { key: "generate.bad_seed", control: "seed" };
    return null;
  }

  /**
   * The faces of A and B as indices of the portrait's faces; null when it has fewer than two.
   * @returns {[number, number]|null}
   */
  pair() {
    const faces = library.avatar(this.#state.avatarId)?.faces ?? [];
    if (faces.length < 2) return null;
    const { faceA, faceB } = this.#state;
    // The two that are largest, from left to right; the finder tells the larger ones first.
    const [left, right] = [0, 1].sort((m, n) => faces[m].x - faces[n].x);
    const a = faceA !== null && faceA < faces.length ? faceA : faceB === left ? right : left;
    const b = faceB !== null && faceB < faces.length && faceB !== a ? faceB : a === right ? left : right;
    return [a, b];
  }

  /** Who speaks, as the service wants it; empty for one voice. */
  #speakers() {
    const { twoSpeakers, voiceId, voiceIdB, avatarId } = this.#state;
    const pair = twoSpeakers ? this.pair() : null;
    const faces = library.avatar(avatarId)?.faces;
    if (!pair || !faces) return [];
    return pair.map((index, n) => {
      const { x, y, w, h } = faces[index];
      return { name: this.names[n], voice_id: n ? voiceIdB : voiceId, face: { x, y, w, h } };
    });
  }

  /** The body of `POST /api/jobs`. */
  body() {
    const state = this.#state;
    return {
      speakers: this.#speakers(),
      voice_id: state.voiceId,
      avatar_url: state.avatarId,
      script_mode: "manual",
      script_input: state.script,
      preferred_engine: state.engine,
      preset: state.preset,
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

/** The face of a list that a box means, or null. @param {import("../types.js").Face[]} faces @param {{x: number, y: number}|null} [box] */
function faceAt(faces, box) {
  if (!box) return null;
  const index = faces.findIndex((face) => Math.abs(face.x - box.x) < SAME && Math.abs(face.y - box.y) < SAME);
  return index < 0 ? null : index;
}

/** Capitals and width make no difference to the service. @param {string} name */
const sameness = (name) => name.normalize("NFKC").toLowerCase();

/** @param {string[]} names */
const areNames = (names) =>
  names.every((name) => name.length <= MOST_NAME && /[\p{L}\p{N}]/u.test(name) && !/[:：\n]/.test(name)) && new Set(names.map(sameness)).size === 2;

/** Seeds are whole numbers below 2^31. @param {string} text */
const isSeed = (text) => /^\d{1,10}$/.test(text) && Number(text) <= 2 ** 31 - 1;

export const form = new Form();

/** What the script's endpoints want to know of a conversation. @returns {{speakers?: string[]}} */
export const speakerNames = () => (form.value.twoSpeakers && areNames(form.names) ? { speakers: form.names } : {});
