// Elements, text and time. Whatever a peer wrote becomes a text node and nothing else: nobody here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

// What would move the cursor, turn the line around or hide in it is shown by its number instead.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Text of a stranger, with everything in it that cannot be seen made visible. */
export function shown(text) {
  return String(text ?? "").replace(UNSEEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function furnish(element, given, children) {
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, children);
  return element;
}

function put(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(shown(child)));
  }
}

/** An HTML element with attributes, listeners (`onclick`) and children; text stays text. */
export function h(name, given, ...children) {
  return furnish(document.createElement(name), given, children);
}

/** The same for SVG. */
export function s(name, given, ...children) {
  return furnish(document.createElementNS(SVG, name), given, children);
}

/** Let `element` hold `children` and nothing else. */
export function fill(element, ...children) {
  element.replaceChildren();
  put(element, children);
  return element;
}

/** Change a text only if it differs, so that screen readers do not hear it again. */
export function say(element, text) {
  const words = shown(text);
  if (element.textContent !== words) element.textContent = words;
}

const two = (number) => String(number).padStart(2, "0");

/** Seconds since 1970 as the wall clock here shows them, to the millisecond. */
export function clock(seconds) {
  const moment = new Date(seconds * 1000);
  const milliseconds = String(moment.getMilliseconds()).padStart(3, "0");
  return `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}.${milliseconds}`;
}

/** A moment as a <time> element: the clock, and the whole date for whoever points at it. */
export function moment(seconds, words) {
  if (!Number.isFinite(seconds)) return h("span", { class: "muted" }, "–");
  const whole = new Date(seconds * 1000);
  return h("time", { datetime: whole.toISOString(), title: whole.toLocaleString() }, words ?? clock(seconds));
}

/** How long something takes or has taken, in the largest units that say enough. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const sign = seconds < 0 ? "−" : "";
  const size = Math.abs(seconds);
  if (size < 0.9995) return `${sign}${Math.round(size * 1000)} ms`;
  if (size < 59.95) return `${sign}${size.toFixed(size < 10 ? 2 : 1)} s`;
  if (size < 3600) return `${sign}${Math.floor(size / 60)} min ${two(Math.floor(size % 60))} s`;
  if (size < 86400) return `${sign}${Math.floor(size / 3600)} h ${two(Math.floor((size % 3600) / 60))} min`;
  return `${sign}${Math.floor(size / 86400)} d ${Math.floor((size % 86400) / 3600)} h`;
}

/** RFC 3339 or seconds, as seconds since 1970; NaN for nothing. */
export function seconds(given) {
  if (typeof given === "number") return given;
  return given ? Date.parse(given) / 1000 : NaN;
}

/** One thing with its number: `count(1, "flow")`, `count(3, "flow")`. */
export function count(number, one, many = `${one}s`) {
  return `${Number(number).toLocaleString("en-GB")} ${number === 1 ? one : many}`;
}

/** An icon of the sprite in index.html; it says nothing to a screen reader. */
export function icon(name) {
  return s("svg", { class: "icon", "aria-hidden": "true", focusable: "false" }, s("use", { href: `#i-${name}` }));
}

/** A word in a coloured lozenge. `kind` is good, warn, bad, note or plain. */
export function pill(kind, words) {
  return h("span", { class: `pill ${kind}` }, words);
}

/** Who is at the other end: what its certificate proved, or that nothing did. */
export function who(identity, address, verified = Boolean(identity)) {
  return h(
    "span",
    { class: `who ${verified ? "proved" : "claimed"}` },
    icon(verified ? "proved" : "unproved"),
    h("bdi", {}, identity || address || "unknown"),
    h("span", { class: "unseen" }, verified ? " (proved by its certificate)" : " (nothing is proved)"),
  );
}

/** Run `work` once in the next frame, however often it is asked for. */
export function soon(work) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    const run = () => {
      if (!waits) return;
      waits = false;
      work();
    };
    // A tab that nobody sees has no frames.
    if (document.hidden) setTimeout(run, 250);
    else requestAnimationFrame(run);
  };
}

/**
 * Run `work` now and then at most every `pause` milliseconds, never twice at a time; what takes long is done more seldom,
 * so that it takes a tenth of the time at most.
 */
export function calmly(pause, work) {
  let rests = false;
  let again = false;
  const run = async () => {
    rests = true;
    const begun = performance.now();
    try {
      await work();
    } finally {
      setTimeout(() => {
        rests = false;
        if (again) {
          again = false;
          run();
        }
      }, Math.max(pause, 9 * (performance.now() - begun)));
    }
  };
  return () => {
    if (rests) again = true;
    else run();
  };
}
