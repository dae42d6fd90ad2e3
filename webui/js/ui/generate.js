/**
 * `<aio-generate>`: the one primary button, and why it cannot work yet.
 */
import { requestKey } from "../api/client.js";
import { h, fill } from "../lib/dom.js";
import { bindText, t } from "../lib/i18n.js";
import { route } from "../shell/router.js";
import { form } from "../state/form.js";
import { jobs } from "../state/jobs.js";
import { library } from "../state/library.js";
import { openJob } from "../state/route.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { asProblem, problemBox } from "./problem.js";
import { verdict } from "./verdict.js";

/** Who has no keyboard is not told of a shortcut. */
const READY_KEY = matchMedia("(pointer: coarse)").matches ? "generate.ready_touch" : "generate.ready";

export class Generate extends HTMLElement {
  #busy = false;
  /** Sent with a body until it was answered: a click after a lost answer makes no second job. */
  #key = "";
  #keyBody = "";
  #button = h("button", {
    type: "button",
    id: "generate",
    class: "button button-primary button-large",
    "aria-describedby": "generate-why",
    t: "generate.button",
  }, icon("play"));
  #why = h("p", { id: "generate-why", class: "generate-why" });
  #problem = h("div", { class: "generate-problem" });

  connectedCallback() {
    this.classList.add("generate");
    fill(this, this.#problem, h("div", { class: "generate-bar" }, verdict(), h("div", { class: "generate-go" }, this.#button, this.#why)));
    this.#button.addEventListener("click", () => void this.#submit());
    addEventListener("keydown", (event) => {
      // Ctrl+Enter; not while an input method composes, whose Enter means "take this word".
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
      if (document.querySelector("dialog[open]") || route().name !== "studio") return;
      event.preventDefault();
      // Keys that are held down are told again and again.
      if (!event.repeat) void this.#submit();
    });
    form.addEventListener("change", () => this.#update());
    for (const news of ["limits", "avatars", "voices"]) library.addEventListener(news, () => this.#update());
    this.#update();
  }

  #update() {
    const obstacle = form.obstacle();
    this.#button.setAttribute("aria-disabled", String(this.#busy || obstacle !== null));
    this.#button.setAttribute("aria-busy", String(this.#busy));
    bindText(this.#why, this.#busy ? "generate.sending" : (obstacle?.key ?? READY_KEY));
    this.#why.classList.toggle("is-obstacle", obstacle !== null);
  }

  async #submit() {
    if (this.#busy) return;
    const obstacle = form.obstacle();
    if (obstacle) {
      announce(t(obstacle.key));
      goTo(obstacle.control);
      return;
    }
    const body = form.body();
    const text = JSON.stringify(body);
    if (text !== this.#keyBody) {
      this.#keyBody = text;
      this.#key = requestKey();
    }
    this.#busy = true;
    fill(this.#problem);
    this.#update();
    try {
      const job = await jobs.create(body, this.#key);
      this.#keyBody = "";
      openJob(job.job_id);
      announce(t("generate.queued"));
    } catch (error) {
      const problem = asProblem(error);
      // An answer came: the next try is a new request. Without one, the same key asks again.
      if (problem.status) this.#keyBody = "";
      fill(this.#problem, problemBox(problem));
    } finally {
      this.#busy = false;
      this.#update();
    }
  }
}

/** Move to the control that is in the way. @param {string} id */
function goTo(id) {
  const control = document.getElementById(id);
  control?.closest("details")?.setAttribute("open", "");
  control?.scrollIntoView({ block: "center" });
  control?.focus();
}
