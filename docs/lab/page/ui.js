// The pieces that all parts of the page are built of.

// An element: el("button", {type: "button", onclick: go}, "Go").
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Likewise one of a drawing: svg("circle", {cx: 5, cy: 5, r: 2}).
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

let names = 0;

// A slider with its label and its value in words. Returns {element, value, set(value)}.
export function slider({ label, min, max, step, value, format = String, onInput }) {
  const id = `lab-${++names}`;
  const shown = el("output", { htmlFor: id }, format(value));
  const input = el("input", { type: "range", id, min, max, step, value });
  const tell = () => {
    shown.textContent = format(input.valueAsNumber);
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => {
    tell();
    onInput(input.valueAsNumber);
  });
  tell();
  return {
    element: el("div", { className: "lab-control" }, el("label", { htmlFor: id }, label), input, shown),
    get value() {
      return input.valueAsNumber;
    },
    set(value) {
      input.value = value;
      tell();
    },
  };
}

// One of several, as radio buttons. `options` is [[value, label], ...]. Returns {element, value, set(value)}.
export function choice({ label, options, value, onPick }) {
  const name = `lab-${++names}`;
  const inputs = options.map(([option]) =>
    el("input", { type: "radio", name, value: option, checked: option === value, onchange: () => onPick(option) }),
  );
  const labels = options.map(([, text], i) => el("label", {}, inputs[i], ` ${text}`));
  return {
    element: el("fieldset", { className: "lab-choice" }, el("legend", {}, label), ...labels),
    get value() {
      return options[inputs.findIndex((input) => input.checked)][0];
    },
    set(value) {
      inputs.forEach((input, i) => (input.checked = options[i][0] === value));
    },
  };
}

// A switch. Returns {element, value, set(value)}.
export function toggle({ label, value = false, onChange }) {
  const input = el("input", { type: "checkbox", checked: value, onchange: () => onChange(input.checked) });
  return {
    element: el("label", { className: "lab-toggle" }, input, ` ${label}`),
    get value() {
      return input.checked;
    },
    set(value) {
      input.checked = value;
    },
  };
}

export function button(label, onClick, properties = {}) {
  return el("button", { type: "button", className: "lab-button", onclick: onClick, ...properties }, label);
}

// A line that tells what is going on, to screen readers, too. Returns {element, say(text), fail(error)}.
export function status(text = "") {
  const element = el("p", { className: "lab-status", role: "status" }, text);
  return {
    element,
    say(text) {
      element.classList.remove("lab-failed");
      element.textContent = text;
    },
    fail(error) {
      element.classList.add("lab-failed");
      element.textContent = `That did not work: ${error.message ?? error}`;
    },
  };
}

// A row of pictures to choose from, and "your own"; below, what the chosen one is, and whose. `onPick(frame)` gets
// a row of frames.json, or, for a file that was chosen or dropped, {file}. Returns {element, set(frame)}.
export function framePicker({ frames, base, label = "Pick a frame", onPick }) {
  const buttons = frames.map((frame) => frameButton(frame, base, () => pick(frame)));
  const told = el("p", { className: "lab-caption" });
  const pick = (frame) => {
    set(frame);
    onPick(frame);
  };
  const set = (frame) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(frames[i] === frame)));
    told.textContent = frame?.title ? `${[frame.title, frame.credit].filter(Boolean).join(". ")}.` : "";
  };
  const take = (file) => {
    set(null);
    onPick({ file });
  };
  const element = el("div", { className: "lab-frames", role: "group", "aria-label": label }, ...buttons, ownPicture(take), told);
  return { element, set };
}

function frameButton({ title, thumbnail }, base, onclick) {
  const image = el("img", { src: new URL(thumbnail, base).href, alt: "", loading: "lazy" });
  const told = { title, "aria-label": title, "aria-pressed": "false" };
  return el("button", { type: "button", className: "lab-frame", ...told, onclick }, image);
}

// A place to choose a file, or to drop one.
function ownPicture(take) {
  const input = el("input", { type: "file", accept: "image/*", onchange: () => input.files[0] && take(input.files[0]) });
  input.addEventListener("click", () => (input.value = "")); // so that the same file can be chosen once more
  const drop = el("label", { className: "lab-own" }, "your own picture: choose or drop it here", input);
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("lab-over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("lab-over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("lab-over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
  return drop;
}

// Run `work` now, or, if it is still busy, once more when it is done: of many clicks only the last counts.
// An error goes to `onError`, and the next click works again.
export function latest(work, onError) {
  let busy = false;
  let next = null;
  return async function run(...given) {
    if (busy) {
      next = given;
      return;
    }
    busy = true;
    try {
      await work(...given);
    } catch (error) {
      onError(error);
    } finally {
      busy = false;
      if (next) {
        const again = next;
        next = null;
        run(...again);
      }
    }
  };
}

// `start()` once the reader has scrolled near the element.
export function whenNear(element, start) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      start();
    },
    { rootMargin: "300px" },
  );
  observer.observe(element);
}

export const percent = (share) => (Number.isNaN(share) ? "not defined" : `${Math.round(100 * share)} %`);
export const score = (value) => (Number.isNaN(value) ? "not defined" : value.toFixed(2));
