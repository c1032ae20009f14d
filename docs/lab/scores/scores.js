// Part 5, "Score like ten papers": the same masks by ten conventions, after the reader has picked one.

import { CONVENTIONS, histograms } from "./conventions.js";
import { open } from "../network/frames.js";
import { probabilities } from "../network/masks.js";
import { button, choice, el, score, status, toggle } from "../page/ui.js";

export function scores(place, lab) {
  const frames = lab.frames.filter(({ kind }) => kind === "real" || kind === "clean");
  const clean = frames.filter(({ kind }) => kind === "clean").length;
  const looked = new Map(); // "level frame" -> histograms, kept: nothing is computed twice
  const found = new Map(); // level -> {name: score} of all ten
  let run = 0; // the number of the latest; an older one stops at its next frame
  let running = false;
  let pick = null; // the convention that was picked when the scores were shown: it stands

  const level = choice({
    label: "The network's level",
    options: lab.facts.levels.map((row) => [row.level, `L${row.level}`]),
    value: lab.facts.depth,
    onPick: levelPicked,
  });
  const task = `Run the network on the ${frames.length} frames`;
  const start = button(task, startOrStop, { className: "lab-button lab-main" });
  const show = button("Show the scores", reveal);
  const sorted = toggle({ label: "Sort by value", onChange: draw });
  const line = status("");
  const range = el("p", { className: "lab-range", tabIndex: -1 }); // focused when it first speaks
  const rows = new Map(CONVENTIONS.map((convention) => [convention.name, conventionRow(convention, () => setShow())]));
  const list = el("ol", { className: "lab-conventions" });

  async function startOrStop() {
    const mine = ++run; // stops what runs
    if (running) return stop();
    running = true;
    start.textContent = "Stop";
    const chosen = level.value;
    try {
      for (const [i, frame] of frames.entries()) {
        line.say(`Level ${chosen}: frame ${i + 1} of ${frames.length} …`);
        const key = `${chosen} ${frame.name}`;
        if (!looked.has(key)) looked.set(key, await lookAt(frame, chosen));
        if (mine !== run) return;
      }
      idle();
      const maps = frames.map((frame) => looked.get(`${chosen} ${frame.name}`));
      found.set(chosen, Object.fromEntries(CONVENTIONS.map(({ name, score }) => [name, score(maps)])));
      finished();
    } catch (error) {
      if (mine !== run) return;
      idle();
      line.fail(error);
    }
  }

  function idle() {
    running = false;
    start.textContent = task;
  }

  function stop() {
    idle();
    line.say("Stopped. What is done is kept.");
  }

  async function lookAt(frame, chosen) {
    const { picture, pixels, truth } = await open(frame, lab.base, lab.facts.size);
    const { logits } = await lab.network.look(pixels, chosen);
    return histograms(probabilities(logits, lab.facts.size, picture.height, picture.width), truth);
  }

  function levelPicked() {
    if (running) startOrStop(); // stop: another network was meant
    if (found.has(level.value)) finished();
    else if (pick) {
      hideValues();
      line.say(`Level ${level.value} has not run yet.`);
    }
    setShow();
  }

  function finished() {
    setShow();
    const next = pick ? "" : "Which convention gives its masks the highest Dice? Pick one, then show the scores.";
    line.say(`Level ${level.value} has looked at ${frames.length} frames, ${clean} of them clean. ${next}`);
    if (pick) draw();
  }

  const ready = () => found.has(level.value) && (pick !== null || [...rows.values()].some(({ radio }) => radio.checked));

  // Not `disabled`, which would take the keyboard's focus away.
  function setShow() {
    show.setAttribute("aria-disabled", String(!ready()));
    show.hidden = pick !== null;
  }

  function reveal() {
    if (!found.has(level.value)) return line.say("Run the network first.");
    if (!ready()) return line.say("First pick the convention that you think flatters most.");
    pick = CONVENTIONS.find(({ name }) => rows.get(name).radio.checked);
    for (const { radio } of rows.values()) radio.disabled = true;
    sorted.element.hidden = false;
    finished();
    range.focus(); // the button, which had the focus, is gone
  }

  function hideValues() {
    for (const row of rows.values()) row.setValue(null);
    range.textContent = "";
  }

  function draw() {
    const values = found.get(level.value);
    const order = [...CONVENTIONS];
    if (sorted.value && values) order.sort((a, b) => values[b.name] - values[a.name]);
    list.append(...order.map(({ name }) => rows.get(name).element));
    if (!values || !pick) return;
    for (const { name } of CONVENTIONS) rows.get(name).setValue(values[name], pick.name === name);
    range.replaceChildren(...sentences(values).map((sentence, i) => el(i ? "span" : "strong", {}, `${sentence} `)));
  }

  // What the values say, in words.
  function sentences(values) {
    const [worst, best] = extremes(values);
    const rank = CONVENTIONS.filter(({ name }) => values[name] > values[pick.name]).length + 1;
    const said = [`The same maps: ${score(values[worst.name])} to ${score(values[best.name])}.`];
    said.push(
      rank === 1
        ? `Your pick, "${pick.title}", flatters most.`
        : `Your pick, "${pick.title}", is number ${rank} of ${CONVENTIONS.length}; "${best.title}" flatters most.`,
    );
    const levels = [...found.keys()].sort();
    for (const low of levels)
      for (const high of levels.filter((other) => other > low)) {
        const [, flattered] = extremes(found.get(low));
        const [strict] = extremes(found.get(high));
        const [above, below] = [found.get(low)[flattered.name], found.get(high)[strict.name]];
        if (above > below)
          said.push(
            `Level ${low} by "${flattered.title}" (${score(above)}) looks better ` +
              `than level ${high} by "${strict.title}" (${score(below)}).`,
          );
      }
    return said;
  }

  sorted.element.hidden = true;
  place.append(
    level.element,
    el("div", { className: "lab-buttons" }, start, show),
    line.element,
    el("fieldset", { className: "lab-conventions-box" }, el("legend", {}, "Which convention flatters most?"), range, sorted.element, list),
  );
  setShow();
  draw();
}

// The conventions with the lowest and the highest value.
function extremes(values) {
  const order = [...CONVENTIONS].sort((a, b) => values[a.name] - values[b.name]);
  return [order[0], order[order.length - 1]];
}

// One row: what to pick, what the convention does, and the bar. Returns {element, radio, setValue(value, picked)}.
function conventionRow({ name, title, usedBy, does }, onPick) {
  const radio = el("input", { type: "radio", name: "lab-convention", value: name, "aria-describedby": `lab-does-${name}`, onchange: onPick });
  const mark = el("strong", { className: "lab-pick" });
  const bar = el("span", { className: "lab-bar", "aria-hidden": "true" });
  const number = el("span", { className: "lab-value" });
  const element = el(
    "li",
    { "data-convention": name },
    el(
      "div",
      {},
      el("label", {}, radio, el("span", {}, title, el("small", {}, ` ${usedBy}`), mark)),
      el("p", { id: `lab-does-${name}` }, does),
    ),
    el("div", { className: "lab-bar-row" }, el("div", { className: "lab-bar-box" }, bar), number),
  );
  const setValue = (value, picked = false) => {
    element.classList.toggle("lab-open", value !== null);
    bar.style.width = value === null ? "0" : `${100 * value}%`;
    number.textContent = value === null ? "" : score(value);
    number.dataset.value = value ?? "";
    mark.textContent = picked ? " your pick" : "";
  };
  return { element, radio, setValue };
}
