/**
 * A first video of what comes with the program: made at once on the processor, and played where it was made.
 */
import { requestKey } from "../api/client.js";
import { fill, h } from "../lib/dom.js";
import { isChinese, t } from "../lib/i18n.js";
import { isActive, jobs } from "../state/jobs.js";
import { library } from "../state/library.js";
import { announce } from "../ui/announce.js";
import { icon } from "../ui/icons.js";
import { jobNotices } from "../ui/job-notices.js";
import { JobProgress } from "../ui/job-progress.js";
import { player } from "../ui/job-result.js";
import { defaultAvatar } from "../ui/portraits.js";
import { asProblem, problemBox } from "../ui/problem.js";
import { defaultVoice } from "../ui/voices.js";

/** @typedef {import("../types.js").Job} Job */

export class DemoVideo {
  /** The video is there and the person goes on. @type {() => void} */
  onDone = () => undefined;
  /** @type {string|null} */
  #id = null;
  #isBusy = false;
  /** The state that is drawn. */
  #drawn = "";
  #frame = h("div", { class: "start-frame" });
  #progress = new JobProgress();
  #notices = h("div", {});
  #problem = h("div", {});
  #make = h("button", { type: "button", class: "button button-primary button-large", t: "start.make", onclick: () => void this.#start() }, icon("play"));
  #go = h("button", { type: "button", class: "button button-primary button-large", t: "start.go", hidden: true, onclick: () => this.onDone() });
  #script = h("p", { class: "start-script" });
  #update = () => this.#show();
  element = h(
    "div",
    { class: "start-demo" },
    this.#frame,
    this.#script,
    this.#progress.element,
    this.#notices,
    this.#problem,
    h("div", { class: "dialog-actions" }, h("p", { class: "quiet", t: "start.make_note" }), this.#make, this.#go),
  );

  constructor() {
    jobs.addEventListener("change", this.#update);
    for (const news of ["avatars", "voices"]) library.addEventListener(news, this.#update);
    document.addEventListener("localechange", this.#update);
    this.#show();
  }

  stop() {
    jobs.removeEventListener("change", this.#update);
    for (const news of ["avatars", "voices"]) library.removeEventListener(news, this.#update);
    document.removeEventListener("localechange", this.#update);
  }

  /** In the page's language, spoken by its default voice. */
  #order() {
    return {
      voice_id: defaultVoice()?.voice_id,
      avatar_url: defaultAvatar()?.avatar_id,
      script_input: t("start.script"),
      title: t("start.video_title"),
      preferred_engine: "draft",
      output: { aspect: "1:1", resolution: "512p", subtitles: "file" },
      voice_settings: { language: isChinese() ? "zh" : "en" },
    };
  }

  async #start() {
    const order = this.#order();
    if (this.#isBusy || !order.voice_id || !order.avatar_url) return;
    this.#isBusy = true;
    fill(this.#problem);
    this.#show();
    try {
      this.#id = (await jobs.create(order, requestKey())).job_id;
    } catch (error) {
      fill(this.#problem, problemBox(asProblem(error)));
    } finally {
      this.#isBusy = false;
      this.#show();
    }
  }

  #show() {
    const job = this.#id ? jobs.get(this.#id) : undefined;
    const avatar = defaultAvatar();
    this.#script.textContent = job?.script_input ?? t("start.script");
    this.#progress.element.hidden = true;
    if (job) this.#progress.update(job);
    const active = this.#isBusy || (job !== undefined && isActive(job));
    const hadFocus = this.#make === document.activeElement;
    this.#make.hidden = job?.status === "completed";
    this.#make.setAttribute("aria-disabled", String(active || !avatar || !library.voices.length));
    this.#go.hidden = job?.status !== "completed";
    if (hadFocus && !this.#go.hidden) this.#go.focus();
    const drawn = JSON.stringify([job?.status, job?.artifacts.video, avatar?.thumbnail_url, document.documentElement.lang]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    fill(this.#notices, ...(job && job.status === "failed" ? jobNotices(job) : []));
    if (job?.status === "completed" && job.artifacts.video) this.#play(job);
    else if (avatar) fill(this.#frame, h("img", { class: "frame-picture", src: avatar.thumbnail_url, alt: "" }));
    else fill(this.#frame, icon("person"));
  }

  /** @param {Job} job */
  #play(job) {
    const video = player(job);
    fill(this.#frame, video);
    announce(t("status.completed"));
    // The click that began it allows this; where it does not, the player has its button.
    video.play().catch(() => video.focus());
  }
}
