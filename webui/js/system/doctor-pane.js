/**
 * `#/system/doctor`: the doctor, and the bundle for those who help.
 */
import { SUPPORT_BUNDLE } from "../api/system.js";
import { fill, h } from "../lib/dom.js";
import { icon } from "../ui/icons.js";
import { DoctorList } from "./doctor-list.js";
import { Pane } from "./pane.js";

export class DoctorPane extends Pane {
  #doctor = new DoctorList();
  #button = h("button", { type: "button", class: "button button-primary", onclick: () => void this.#check(), t: "doctor.check" }, icon("retry"));

  build() {
    fill(
      this,
      h("div", { class: "screen-head" }, h("p", { class: "quiet", t: "doctor.intro" }), this.#button),
      this.#doctor.element,
      h(
        "section",
        { class: "card bundle" },
        h("h3", { t: "doctor.bundle" }),
        h("p", { t: "doctor.bundle_in" }),
        h("p", { class: "quiet", t: "doctor.bundle_out" }),
        h("div", {}, h("a", { class: "button", href: SUPPORT_BUNDLE, download: true, t: "doctor.bundle_get" }, icon("download"))),
      ),
    );
  }

  begin() {
    if (!this.#doctor.hasRun) void this.#check();
  }

  render() {
    this.#doctor.render();
  }

  async #check() {
    this.#button.setAttribute("aria-disabled", "true");
    await this.#doctor.run();
    this.#button.removeAttribute("aria-disabled");
  }
}
