/**
 * `<aio-speakers>`: one voice, or two people who talk to each other; what they are called and whose voice is being chosen.
 */
import { h, fill } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { form, SPEAKERS } from "../state/form.js";
import { displayName, library } from "../state/library.js";
import { onFields, tick } from "./fields.js";
import { renamed } from "./turns.js";
import { defaultVoice } from "./voices.js";

export class Speakers extends HTMLElement {
  #who = h("div", { class: "segments", role: "radiogroup", tLabel: "speakers.whose" });

  connectedCallback() {
    this.classList.add("speakers");
    const names = h("div", { class: "field-pair" }, nameField("nameA", { id: "speaker-a", n: 1 }), nameField("nameB", { id: "speaker-b", n: 2 }));
    const hint = h("p", { class: "quiet" });
    fill(this, tick("twoSpeakers", "speakers.two"), names, this.#who, hint);
    onFields(["twoSpeakers", "nameA", "nameB"], () => {
      const { twoSpeakers, voiceIdB } = form.value;
      this.#who.hidden = hint.hidden = names.hidden = !twoSpeakers;
      const [a, b] = form.names;
      fill(hint, h("span", { t: ["speakers.hint", { a, b }] }));
      if (twoSpeakers && !voiceIdB && library.voices.length) form.set({ voiceIdB: otherVoice()?.voice_id ?? null });
    });
    onFields(["speaking", "voiceId", "voiceIdB", "twoSpeakers", "nameA", "nameB"], () => this.#render());
    library.addEventListener("voices", () => this.#render());
    document.addEventListener("localechange", () => this.#render());
  }

  #render() {
    const { voiceId, voiceIdB, speaking } = form.value;
    const hadFocus = this.#who.contains(document.activeElement);
    const voices = [voiceId, voiceIdB].map((id) => library.voice(id));
    const inputs = SPEAKERS.map((name) =>
      h("input", { type: "radio", name: "speaking", class: "sr-only", value: name, checked: name === speaking, onchange: () => form.set({ speaking: name }) }),
    );
    fill(
      this.#who,
      ...inputs.map((input, n) => {
        const voice = voices[n];
        return h("label", { class: "segment" }, input, h("span", {}, `${form.names[n]} · ${voice ? displayName(voice) : t("speakers.none")}`));
      }),
    );
    if (hadFocus) inputs.find((input) => input.checked)?.focus();
  }
}

/** The script follows a new name. @param {"nameA"|"nameB"} field @param {{id: string, n: number}} place */
function nameField(field, { id, n }) {
  const input = h("input", { type: "text", id, class: "input", maxlength: 32, autocomplete: "off" });
  input.addEventListener("change", () => {
    const before = form.value[field].trim();
    const after = input.value.trim();
    form.set({ [field]: after, script: renamed(form.value.script, before, after) });
  });
  onFields([field], () => {
    if (input.value.trim() !== form.value[field]) input.value = form.value[field];
  });
  return h("div", { class: "field" }, h("label", { class: "field-label", for: id, t: ["speakers.name", { n }] }), input);
}

/** A second voice to begin with: of the same language, and another one than the first. */
function otherVoice() {
  const first = library.voice(form.value.voiceId) ?? defaultVoice();
  const rest = library.voices.filter((voice) => voice.builtin && voice.voice_id !== first?.voice_id);
  const alike = rest.filter((voice) => voice.language === first?.language);
  return alike.find((voice) => voice.gender !== first?.gender) ?? alike[0] ?? rest[0];
}
