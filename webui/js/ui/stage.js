/**
 * `<aio-stage>`: the preview of the next video, or the job that is open.
 */
import { h, fill } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { ago } from "../lib/format.js";
import { firstLine } from "../lib/text.js";
import { isActive, jobs } from "../state/jobs.js";
import { engineTitle, library } from "../state/library.js";
import { closeJob, openJobId } from "../state/route.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { JobPanel, statusBadge } from "./job-panel.js";
import { asProblem, problemBox } from "./problem.js";
import { stagePreview } from "./stage-preview.js";

export class Stage extends HTMLElement {
  #title = h("h2", { id: "stage-title", class: "stage-title", tabindex: "-1" });
  #meta = h("div", { class: "stage-meta" });
  #close = h("button", { type: "button", class: "button button-small", t: "stage.new" }, icon("plus"));
  #body = h("div", { class: "stage-body" });
  #preview = stagePreview();
  /** @type {JobPanel|null} */
  #panel = null;
  /** The job of the address when it was last looked at. @type {string|null|undefined} */
  #routed;
  /** The job of the address could not be read: its place has the reason instead. */
  #isUnread = false;
  /** What was last said about the job. */
  #said = "";

  connectedCallback() {
    this.classList.add("card", "stage");
    fill(this, h("header", { class: "stage-head" }, this.#title, this.#close), this.#meta, this.#body);
    this.#close.addEventListener("click", () => {
      closeJob();
      document.getElementById("script")?.focus();
    });
    document.addEventListener("routechange", () => void this.#route(true));
    jobs.addEventListener("change", () => this.#update());
    library.addEventListener("engines", () => this.#update());
    document.addEventListener("localechange", () => this.#update());
    void this.#route(false);
  }

  /** @param {boolean} byUser  whether to bring the stage into view */
  async #route(byUser) {
    const id = openJobId();
    // Coming back from another screen finds everything as it was.
    if (byUser && id === this.#routed) return;
    this.#routed = id;
    this.#said = "";
    this.#isUnread = false;
    if (!id) {
      this.#panel = null;
      fill(this.#body, this.#preview);
      this.#update();
      return;
    }
    if (this.#panel?.id !== id) {
      this.#panel = new JobPanel(id);
      fill(this.#body, this.#panel.element);
    }
    if (byUser) {
      this.scrollIntoView({ block: "nearest" });
      this.#title.focus({ preventScroll: true });
    }
    this.#update();
    try {
      await jobs.fetch(id);
    } catch (error) {
      if (openJobId() !== id || jobs.get(id)) return;
      this.#isUnread = true;
      fill(this.#body, problemBox(asProblem(error)));
      this.#update();
    }
  }

  #update() {
    const id = openJobId();
    const job = id ? jobs.get(id) : undefined;
    this.#close.hidden = !id;
    if (id && !job && this.#panel?.shown) {
      // It was deleted, here or in another tab.
      closeJob();
      void this.#route(false);
      return;
    }
    if (!job) {
      delete this.#title.dataset.i18n;
      bindText(this.#title, !id ? "stage.preview" : this.#isUnread ? "lib.not_there" : "stage.loading");
      fill(this.#meta);
      return;
    }
    if (this.#isUnread && this.#panel) {
      // News of it came after all.
      this.#isUnread = false;
      fill(this.#body, this.#panel.element);
    }
    delete this.#title.dataset.i18n;
    this.#title.textContent = job.title || firstLine(job.script_input);
    fill(
      this.#meta,
      statusBadge(job),
      h("span", { class: "quiet" }, `${engineTitle(job.selected_engine)} · ${ago(job.created_at)}`),
    );
    this.#panel?.update(job);
    this.#say(job);
  }

  /** Spoken at each new stage or status, not at each percent. @param {import("../types.js").Job} job */
  #say(job) {
    const now = `${job.status}|${job.stage ?? ""}`;
    if (now === this.#said) return;
    const first = this.#said === "";
    this.#said = now;
    if (first) return;
    const stage = isActive(job) && job.stage ? t(`stage.${job.stage}`) : "";
    announce([t(`status.${job.status}`), stage].filter(Boolean).join(" · "));
  }
}
