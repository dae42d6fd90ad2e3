/**
 * The login, for a service that asks for a key: a panel when an answer says so, and a way out.
 */
import { closeSession, getSession, openSession } from "../api/endpoints.js";
import { onLoginNeeded } from "../api/client.js";
import { byId, fill, h } from "../lib/dom.js";
import { bindText } from "../lib/i18n.js";
import { icon } from "./icons.js";
import { asProblem } from "./problem.js";
import { causeOf, fixOf } from "./wording.js";

/** All requests that wait for a login wait for the same one. @type {Promise<void>|null} */
let waiting = null;

/** @returns {Promise<boolean>} whether the service asks for a key */
export async function startSession() {
  onLoginNeeded(logIn);
  return (await getSession()).required;
}

/** Who is inside, and had to show a key for it, may leave. @param {boolean} shown */
export function offerLogout(shown) {
  byId("logout").hidden = !shown;
}

/** The button in the header. */
export function startLogout() {
  const button = byId("logout");
  button.append(icon("leave"));
  button.addEventListener("click", async () => {
    try {
      await closeSession();
    } catch (error) {
      asProblem(error);
    }
    // Nothing that was shown to the one who leaves stays; the script is kept as always.
    location.reload();
  });
}

/** Ask for the key; resolves when it was right. */
function logIn() {
  waiting ??= new LoginPanel().ask().finally(() => {
    waiting = null;
    document.dispatchEvent(new Event("login"));
  });
  return waiting;
}

class LoginPanel {
  #busy = false;
  #key = h("input", {
    type: "password",
    id: "login-key",
    name: "password",
    class: "input",
    required: true,
    maxlength: 512,
    autocomplete: "current-password",
    "aria-describedby": "login-where",
  });
  #problem = h("div", { role: "alert", class: "login-problem" });
  #submit = h("button", { type: "submit", class: "button button-primary", t: "login.submit" });
  /** @type {() => void} */
  #done = () => undefined;

  constructor() {
    this.element = h(
      "dialog",
      // Without a key nothing behind the panel works: it stays until there is one.
      { class: "dialog dialog-small", closedby: "none", "aria-labelledby": "login-title" },
      h(
        "form",
        { onsubmit: (/** @type {Event} */ event) => void this.#send(event) },
        h("h2", { id: "login-title", t: "login.title" }),
        h("p", { t: "login.intro" }),
        h("div", { class: "field" }, h("label", { class: "field-label", for: "login-key", t: "login.key" }), this.#key),
        h("p", { class: "quiet", id: "login-where", t: "login.where" }),
        this.#problem,
        h("div", { class: "dialog-actions" }, this.#submit),
      ),
    );
    // For browsers that do not know `closedby`.
    this.element.addEventListener("cancel", (event) => event.preventDefault());
    this.element.addEventListener("close", () => this.element.isConnected && this.element.showModal());
  }

  /** @returns {Promise<void>} */
  ask() {
    document.body.append(this.element);
    this.element.showModal();
    this.#key.focus();
    return new Promise((resolve) => {
      this.#done = resolve;
    });
  }

  /** @param {Event} event */
  async #send(event) {
    event.preventDefault();
    if (this.#busy) return;
    this.#busy = true;
    this.#submit.setAttribute("aria-disabled", "true");
    fill(this.#problem);
    try {
      await openSession(this.#key.value.trim());
      this.element.remove();
      this.#done();
    } catch (error) {
      const { code } = asProblem(error);
      const [key, params] = code === "unauthorized" ? ["login.wrong", {}] : causeOf(code);
      const cause = h("p", {});
      bindText(cause, key, params);
      fill(this.#problem, cause, code !== "unauthorized" && h("p", { t: fixOf(code) }));
      this.#key.select();
      this.#key.focus();
    } finally {
      this.#busy = false;
      this.#submit.setAttribute("aria-disabled", "false");
    }
  }
}
