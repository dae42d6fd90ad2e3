/**
 * Asking again and again while somebody looks: pauses while the tab is hidden, never asks twice at a time.
 */

export class Repeat {
  #work;
  #wait;
  #isRunning = false;
  #isAsking = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #onVisibility = () => !document.hidden && this.now();

  /**
   * @param {() => Promise<unknown>} work  shows its own failures
   * @param {() => number|null} wait  milliseconds until the next time; null: not until `now()`
   */
  constructor(work, wait) {
    this.#work = work;
    this.#wait = wait;
  }

  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    document.addEventListener("visibilitychange", this.#onVisibility);
    void this.now();
  }

  stop() {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  /** Ask at once. */
  async now() {
    clearTimeout(this.#timer);
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      await this.#work();
    } finally {
      this.#isAsking = false;
      const wait = this.#wait();
      if (this.#isRunning && wait !== null && !document.hidden) {
        this.#timer = setTimeout(() => void this.now(), wait);
      }
    }
  }
}
