/**
 * Live news from `/api/events`, and polling while that stream is down.
 *
 * Events of this object: `snapshot` (detail: jobs), `patch` (detail: part of a job), `connection`
 * (detail: "live" | "polling" | "offline").
 */

/** Waits between attempts to open the stream again; the last one repeats. */
const BACKOFF_MS = [1000, 2000, 4000, 8000, 15_000];
/** While the stream is down. */
const POLL_MS = 2000;
/** While it is up: a half-open connection gives no error, so a look now and then finds it out. */
const CHECK_MS = 20_000;
/** Hidden pages give their connection back: a browser opens only six to one server. */
const HIDDEN_GRACE_MS = 60_000;

/** @typedef {"live"|"polling"|"offline"} Connection */

export class LiveFeed extends EventTarget {
  /** @type {EventSource|null} */
  #stream = null;
  /** @type {Connection|null} */
  #connection = null;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #reopenTimer;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #pollTimer;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #hiddenTimer;
  #poll;
  /** A poll may wait long, for a login for instance: one at a time. */
  #polling = false;

  /** @param {() => Promise<void>} poll asks the service for the current jobs; throws when it cannot */
  constructor(poll) {
    super();
    this.#poll = poll;
  }

  start() {
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    addEventListener("online", () => this.#reopen());
    // An open stream may hear of it much later.
    addEventListener("offline", () => this.#schedulePoll(0));
    document.addEventListener("login", () => this.#reopen());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.#reopen());
    this.#open();
    this.#schedulePoll(CHECK_MS);
  }

  #open() {
    this.#close();
    const stream = new EventSource("/api/events");
    this.#stream = stream;
    stream.addEventListener("open", () => {
      this.#failures = 0;
      this.#set("live");
    });
    stream.addEventListener("error", () => this.#onError(stream));
    stream.addEventListener("snapshot", (event) => {
      const jobs = parse(event)?.jobs;
      if (Array.isArray(jobs)) this.#emit("snapshot", jobs);
    });
    stream.addEventListener("job", (event) => {
      const patch = parse(event);
      if (patch?.job_id) this.#emit("patch", patch);
    });
  }

  /** @param {EventSource} stream */
  #onError(stream) {
    if (stream !== this.#stream) return;
    if (this.#connection !== "offline") this.#set("polling");
    // The browser reopens a dropped stream by itself, but gives up on an HTTP error: then we do it.
    if (stream.readyState === EventSource.CLOSED) {
      const wait = BACKOFF_MS[Math.min(this.#failures++, BACKOFF_MS.length - 1)];
      clearTimeout(this.#reopenTimer);
      this.#reopenTimer = setTimeout(() => this.#open(), wait);
    }
    this.#schedulePoll(0);
  }

  #reopen() {
    if (this.#stream?.readyState === EventSource.OPEN) return;
    this.#open();
  }

  #close() {
    clearTimeout(this.#reopenTimer);
    this.#stream?.close();
    this.#stream = null;
  }

  #onVisibility() {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => this.#close(), HIDDEN_GRACE_MS);
    } else if (!this.#stream) {
      this.#open();
      this.#schedulePoll(0);
    }
  }

  /** @param {number} wait */
  #schedulePoll(wait) {
    clearTimeout(this.#pollTimer);
    this.#pollTimer = setTimeout(async () => {
      if (this.#polling) return;
      this.#polling = true;
      try {
        await this.#poll();
        if (this.#connection === "offline") this.#set("polling");
      } catch {
        this.#set("offline");
        // It only seems to be open.
        if (this.#stream?.readyState === EventSource.OPEN) this.#open();
      } finally {
        this.#polling = false;
      }
      const live = this.#stream?.readyState === EventSource.OPEN;
      if (live) this.#set("live");
      this.#schedulePoll(live || document.hidden ? CHECK_MS : POLL_MS);
    }, wait);
  }

  /** @param {Connection} next */
  #set(next) {
    if (next === this.#connection) return;
    this.#connection = next;
    this.#emit("connection", next);
  }

  /** @param {string} name @param {unknown} detail */
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** @param {MessageEvent} event */
function parse(event) {
  try {
    return JSON.parse(event.data);
  } catch {
    return null;
  }
}
