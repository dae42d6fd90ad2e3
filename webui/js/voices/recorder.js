/**
 * Recording from the microphone: a file at the end, and the level meanwhile. Only on HTTPS or loopback: browsers
 * give no microphone to other pages.
 */

/** Longer recordings gain nothing: the best seconds of them are used. */
export const MAX_SECONDS = 90;
/** What a voice needs at least. */
export const MIN_SECONDS = 3;
/** High for speech: what is lost here no engine finds again. */
const BITS_PER_SECOND = 192_000;
/** In order of wish: what this browser records. */
const FORMATS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
const ENDINGS = /** @type {Record<string, string>} */ ({ "audio/webm": "webm", "audio/mp4": "m4a", "audio/ogg": "ogg" });
const LEVEL_SAMPLES = 2048;
/** Above this the waves are cut off. */
const CLIPPED = 0.985;

/** Why nothing can be recorded here, as a key, or null. */
export function recordingObstacle() {
  if (!isSecureContext) return "voicepage.insecure";
  if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === "undefined") return "voicepage.unsupported";
  return null;
}

/** A refused microphone as a key. @param {unknown} error */
export function refusalOf(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "voicepage.refused";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "voicepage.no_microphone";
  return "voicepage.microphone_busy";
}

/**
 * Fires `level` with `{rms, peak, seconds}` about 60 times a second, and `done` with the `File`.
 */
export class Recorder extends EventTarget {
  /** @type {MediaStream|null} */
  #stream = null;
  /** @type {MediaRecorder|null} */
  #recorder = null;
  /** @type {AudioContext|null} */
  #context = null;
  #started = 0;
  #wanted = true;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #limit;

  /** @param {string} [device]  id of a microphone */
  async start(device) {
    // What makes calls clear takes from a voice what makes it that voice.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, ...(device && { deviceId: { exact: device } }) };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.#stream = stream;
    if (!this.#wanted) {
      this.#release();
      return;
    }
    const mimeType = FORMATS.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
    this.#recorder = recorder;
    /** @type {Blob[]} */
    const pieces = [];
    recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
    recorder.addEventListener("stop", () => {
      this.#release();
      if (!this.#wanted) return;
      const type = recorder.mimeType.split(";")[0];
      const file = new File(pieces, ["recording", ENDINGS[type] ?? "webm"].join("."), { type });
      this.dispatchEvent(new CustomEvent("done", { detail: file }));
    });
    // A microphone that is pulled out ends the recording; what came so far is kept.
    stream.getAudioTracks()[0]?.addEventListener("ended", () => this.stop());
    recorder.start();
    this.#started = performance.now();
    // Not by the level's clock: that one stands still while the page is hidden.
    this.#limit = setTimeout(() => this.stop(), MAX_SECONDS * 1000);
    this.#watch(stream);
  }

  /** The microphone in use. */
  get device() {
    return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId ?? "";
  }

  stop() {
    if (this.#recorder?.state === "recording") this.#recorder.stop();
  }

  /** Stop and forget what was recorded. */
  cancel() {
    this.#wanted = false;
    if (this.#recorder?.state === "recording") this.#recorder.stop();
    this.#release();
  }

  /** @param {MediaStream} stream */
  #watch(stream) {
    const context = new AudioContext();
    this.#context = context;
    const meter = context.createAnalyser();
    meter.fftSize = LEVEL_SAMPLES;
    context.createMediaStreamSource(stream).connect(meter);
    const samples = new Float32Array(LEVEL_SAMPLES);
    const look = () => {
      if (this.#recorder?.state !== "recording") return;
      meter.getFloatTimeDomainData(samples);
      const rms = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
      const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const seconds = (performance.now() - this.#started) / 1000;
      this.dispatchEvent(new CustomEvent("level", { detail: { rms, peak, seconds, isClipped: peak >= CLIPPED } }));
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  #release() {
    clearTimeout(this.#limit);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    void this.#context?.close().catch(() => undefined);
    this.#context = null;
  }
}
