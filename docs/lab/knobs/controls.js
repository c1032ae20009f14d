// The controls of "Turn the knobs".

import { button, choice, el, slider, toggle } from "../page/ui.js";

export const angle = (degrees) => (degrees ? `${Math.abs(degrees)}° ${degrees > 0 ? "left" : "right"}` : "0°");

// {element, rest, set(settings), settings(), tell(level, milliseconds)}
export function controls(facts, { onThreshold, onOther }) {
  const rest = {
    threshold: facts.threshold,
    level: facts.depth,
    mirrored: false,
    brightness: 1,
    blur: 0,
    rotation: 0,
    edge: "repeated",
    bgr: false,
  };
  const edges = [["repeated", "edge repeated"], ["black", "black"]];
  const levels = facts.levels.map(({ level, multiply_adds }) => [level, `L${level}: ${(multiply_adds / 1e9).toFixed(1)} billion`]);
  const knob = (name, label, min, max, step, format, onInput = onOther) =>
    slider({ label, min, max, step, value: rest[name], format, onInput });
  const all = {
    threshold: knob("threshold", "threshold", 0.05, 0.95, 0.01, (value) => value.toFixed(2), onThreshold),
    level: choice({ label: "level of the network, and its multiply-adds per frame", options: levels, value: rest.level, onPick: onOther }),
    mirrored: toggle({ label: "four mirrorings averaged", onChange: onOther }),
    brightness: knob("brightness", "brightness", 0.3, 2, 0.05, (value) => `${value.toFixed(2)} times`),
    blur: knob("blur", "blur (sigma)", 0, 6, 0.1, (value) => `${value.toFixed(1)} px`),
    rotation: knob("rotation", "rotation", -180, 180, 1, angle),
    edge: choice({ label: "beyond the edge", options: edges, value: rest.edge, onPick: onOther }),
    bgr: toggle({ label: "BGR instead of RGB", onChange: onOther }),
  };
  for (const [name, { element }] of Object.entries(all)) element.dataset.knob = name;
  const times = [...all.level.element.querySelectorAll("label")].map((label) => label.appendChild(el("span")));
  const set = (settings) => Object.entries(all).forEach(([name, control]) => control.set(settings[name]));
  const reset = () => {
    set(rest);
    onOther();
  };
  const column = (...names) => el("div", {}, ...names.map((name) => all[name].element));
  const right = column("brightness", "blur", "rotation", "edge", "bgr");
  right.append(el("div", { className: "lab-buttons" }, button("Reset all knobs", reset)));
  return {
    element: el("div", { className: "lab-row", role: "group", "aria-label": "Knobs" }, column("threshold", "level", "mirrored"), right),
    rest,
    set,
    settings: () => Object.fromEntries(Object.entries(all).map(([name, control]) => [name, control.value])),
    tell(level, milliseconds) {
      const row = facts.levels.findIndex((one) => one.level === level);
      times[row].textContent = `, ${Math.round(milliseconds)} ms here`;
    },
  };
}
