// What forms share: fields with their labels, and a button that waits.

import { fill, h } from "./dom.js";

/** A field of a form with its label and a word of help. */
export function field(name, title, control, help) {
  const id = `field-${name}`;
  control.id = id;
  control.name = name;
  if (help) control.setAttribute("aria-describedby", `${id}-help`);
  return h("div", { class: "field-box" }, h("label", { for: id }, title), control, help ? h("p", { class: "help", id: `${id}-help` }, help) : null);
}

/** A field for a line of text that is neither corrected nor remembered. */
export function line(given) {
  return h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...given });
}

/** A choice of `options`: words, or pairs of a value and words. */
export function choice(options, given = {}) {
  return h("select", given, options.map((each) => {
    const [value, words] = [each].flat();
    return h("option", { value }, words ?? value);
  }));
}

/** Let `button` say `words` until what is returned is called. */
export function whileBusy(form, button, words) {
  const before = button.textContent;
  button.disabled = true;
  fill(button, words);
  form.setAttribute("aria-busy", "true");
  return () => {
    button.disabled = false;
    fill(button, before);
    form.removeAttribute("aria-busy");
  };
}
