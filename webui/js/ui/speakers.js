/**
 * `<aio-speakers>`: one voice, or two people who talk to each other, and whose voice is being chosen.
 */
import { h, fill } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { form, SPEAKERS } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { onFields, tick } from "./fields.js";
import { defaultVoice } from "./voices.js";

export class Speakers extends HTMLElement {
  #who = h("div", { class: "segments", role: "radiogroup", tLabel: "speakers.whose" });

  connectedCallback() {
    this.classList.add("speakers");
    const hint = h("p", { class: "quiet", t: "speakers.hint" });
    fill(this, tick("twoSpeakers", "speakers.two"), this.#who, hint);
    onFields(["twoSpeakers"], () => {
      const { twoSpeakers, voiceIdB } = form.value;
      this.#who.hidden = hint.hidden = !twoSpeakers;
      if (twoSpeakers && !voiceIdB && library.voices.length) form.set({ voiceIdB: otherVoice()?.voice_id ?? null });
    });
    onFields(["speaking", "voiceId", "voiceIdB", "twoSpeakers"], () => this.#render());
    library.addEventListener("voices", () => this.#render());
    document.addEventListener("localechange", () => this.#render());
  }

  #render() {
    const { voiceId, voiceIdB, speaking } = form.value;
    const hadFocus = this.#who.contains(document.activeElement);
    const voices = [voiceId, voiceIdB].map((id) => library.voice(id));
    fill(
      this.#who,
      ...SPEAKERS.map((name, n) => {
        const input = h("input", {
          type: "radio",
          name: "speaking",
          class: "sr-only",
          value: name,
          checked: name === speaking,
          onchange: () => form.set({ speaking: name }),
        });
        const voice = voices[n];
        const said = voice ? displayName(voice) : t("speakers.none");
        return h("label", { class: "segment" }, input, h("span", {}, `${name} · ${said}`));
      }),
    );
    if (hadFocus) this.#who.querySelector("input:checked")?.dispatchEvent(new Event("focus"));
  }
}

/** A second voice to begin with: of the same language, and another one than the first. */
function otherVoice() {
  const first = library.voice(form.value.voiceId) ?? defaultVoice();
  const rest = library.voices.filter((voice) => voice.builtin && voice.voice_id !== first?.voice_id);
  const alike = rest.filter((voice) => voice.language === first?.language);
  return alike.find((voice) => voice.gender !== first?.gender) ?? alike[0] ?? rest[0];
}
