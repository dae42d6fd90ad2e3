/**
 * Form controls that are bound to one field of the composer's state.
 */
import { h, freshId } from "../lib/dom.js";
import { form } from "../state/form.js";

/** @typedef {keyof import("../state/form.js").FormState} Field */

/**
 * Run `update` now and whenever one of `fields` changes.
 * @param {Field[]} fields
 * @param {() => void} update
 */
export function onFields(fields, update) {
  form.addEventListener("change", (event) => {
    const changed = /** @type {CustomEvent<Field[]>} */ (event).detail;
    if (changed.some((name) => fields.includes(name))) update();
  });
  update();
}

/**
 * A few exclusive choices side by side.
 * @param {Field} field
 * @param {string} label  key
 * @param {{value: string, text: string, mark?: Node}[]} choices  `text` is a key
 */
export function segments(field, label, choices) {
  const legend = freshId(field);
  const inputs = choices.map((item) =>
    h("input", {
      type: "radio",
      name: field,
      class: "sr-only",
      value: item.value,
      onchange: () => form.set({ [field]: item.value }),
    }),
  );
  onFields([field], () => {
    for (const input of inputs) input.checked = input.value === form.value[field];
  });
  return h(
    "div",
    { class: "field", role: "radiogroup", "aria-labelledby": legend },
    h("span", { class: "field-label", id: legend, t: label }),
    h(
      "div",
      { class: "segments" },
      ...choices.map((item, n) =>
        h("label", { class: "segment" }, inputs[n], h("span", {}, item.mark, h("span", { t: item.text }))),
      ),
    ),
  );
}

/**
 * A labelled `<select>`; `options` may be rebuilt by the caller.
 * @param {Field} field
 * @param {string} label
 * @param {{value: string, text: string}[]} options  `text` is a key
 */
export function choice(field, label, options) {
  const id = freshId(field);
  const select = h("select", { id, class: "input", onchange: () => form.set({ [field]: select.value }) });
  select.append(...options.map((option) => h("option", { value: option.value, t: option.text })));
  onFields([field], () => {
    select.value = String(form.value[field]);
  });
  return h("div", { class: "field" }, h("label", { class: "field-label", for: id, t: label }), select);
}

/**
 * A slider that shows its value.
 * @param {Field} field
 * @param {string} label
 * @param {{min: number, max: number, step: number, show: (value: number) => string}} range
 */
export function slider(field, label, { min, max, step, show }) {
  const id = freshId(field);
  const output = h("output", { class: "field-value", for: id });
  const input = h("input", {
    type: "range",
    id,
    min,
    max,
    step,
    oninput: () => form.set({ [field]: Number(input.value) }),
  });
  const update = () => {
    const value = Number(form.value[field]);
    input.value = String(value);
    output.textContent = show(value);
    input.setAttribute("aria-valuetext", show(value));
    input.style.setProperty("--filled", `${((value - min) / (max - min)) * 100}%`);
  };
  onFields([field], update);
  document.addEventListener("localechange", update);
  return h(
    "div",
    { class: "field" },
    h("div", { class: "field-row" }, h("label", { class: "field-label", for: id, t: label }), output),
    input,
  );
}

/**
 * @param {Field} field
 * @param {string} label
 * @param {{id?: string, hint?: string, inputmode?: string, maxlength?: number}} [options]
 */
export function textField(field, label, { id = freshId(field), hint, inputmode, maxlength } = {}) {
  const input = h("input", {
    type: "text",
    id,
    class: "input",
    inputmode,
    maxlength,
    autocomplete: "off",
    "aria-describedby": hint && `${id}-hint`,
    oninput: () => form.set({ [field]: input.value }),
  });
  onFields([field], () => {
    if (input.value !== form.value[field]) input.value = String(form.value[field]);
  });
  return h(
    "div",
    { class: "field" },
    h("label", { class: "field-label", for: id, t: label }),
    input,
    hint && h("p", { class: "quiet", id: `${id}-hint`, t: hint }),
  );
}

/**
 * @param {Field} field
 * @param {string} label
 */
export function tick(field, label) {
  const id = freshId(field);
  const input = h("input", { type: "checkbox", id, onchange: () => form.set({ [field]: input.checked }) });
  onFields([field], () => {
    input.checked = Boolean(form.value[field]);
  });
  return h("label", { class: "tick", for: id }, input, h("span", { t: label }));
}
