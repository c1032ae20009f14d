// Dice, precision and recall against the threshold: the figures, and their plot.

import { dice, precision, recall } from "../network/masks.js";
import { el, score, svg } from "../page/ui.js";

const STEPS = 100; // the thresholds 0.01, 0.02, ... 0.99
export const SCORES = { Dice: dice, precision, recall };

// A row {threshold, Dice, precision, recall} for each threshold, from one walk over the map: each pixel is
// marked at all thresholds below its probability, so counting the pixels between two thresholds is enough.
export function sweep(probs, truth) {
  const between = { polyp: new Float64Array(STEPS), wall: new Float64Array(STEPS) };
  for (let i = 0; i < probs.length; i++) {
    const last = Math.max(Math.ceil(probs[i] * STEPS) - 1, 0); // the highest threshold that is below it
    between[truth[i] ? "polyp" : "wall"][last]++;
  }
  const sum = (counts) => counts.reduce((a, b) => a + b, 0);
  const all = sum(between.polyp);
  return Array.from({ length: STEPS - 1 }, (_, k) => {
    const tp = sum(between.polyp.subarray(k + 1));
    const counts = { tp, fp: sum(between.wall.subarray(k + 1)), fn: all - tp };
    const scores = Object.entries(SCORES).map(([name, figure]) => [name, figure(counts)]);
    return { threshold: (k + 1) / STEPS, ...Object.fromEntries(scores) };
  });
}

// The plot, in the units of its view box: lines differ by their dashes, not by colour alone.
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 350, 34, 190];
const DASHES = { Dice: "none", precision: "9 4", recall: "2 4" };
const across = (threshold) => LEFT + threshold * (RIGHT - LEFT);
const up = (value) => BOTTOM - value * (BOTTOM - TOP);

export function curvePlot() {
  const moving = svg("g"); // what `show` draws anew
  const plot = svg("svg", { viewBox: "0 0 360 230", role: "img", class: "lab-curve" }, ...axes(), ...legend(), moving);
  return {
    element: el("div", {}, plot), // in a div, since an SVG element has no `hidden`
    show(rows, threshold, now) {
      moving.replaceChildren(...Object.keys(SCORES).map((name) => line(name, rows)), ...cursor(threshold, now));
      const told = Object.keys(SCORES).map((name) => `${name} ${score(now[name])}`);
      plot.setAttribute("aria-label", `Scores against the threshold; at ${threshold.toFixed(2)}: ${told.join(", ")}`);
    },
  };
}

function axes() {
  const found = [];
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    found.push(svg("line", { class: "lab-curve-grid", x1: LEFT, x2: RIGHT, y1: up(tick), y2: up(tick) }));
    found.push(svg("line", { class: "lab-curve-grid", x1: across(tick), x2: across(tick), y1: TOP, y2: BOTTOM }));
    found.push(svg("text", { x: LEFT - 6, y: up(tick) + 4, "text-anchor": "end" }, tick));
    found.push(svg("text", { x: across(tick), y: BOTTOM + 16, "text-anchor": "middle" }, tick));
  }
  const [middle, centre] = [(LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2];
  found.push(svg("text", { x: middle, y: BOTTOM + 34, "text-anchor": "middle" }, "threshold"));
  found.push(svg("text", { "text-anchor": "middle", transform: `translate(11 ${centre}) rotate(-90)` }, "score"));
  return found;
}

function legend() {
  return Object.keys(SCORES).flatMap((name, k) => {
    const x = LEFT + [0, 92, 208][k];
    return [
      svg("line", { ...style(name), x1: x, x2: x + 28, y1: 10, y2: 10 }),
      svg("text", { x: x + 34, y: 14 }, name),
    ];
  });
}

const style = (name) => ({ class: `lab-curve-line lab-curve-${name}`, "stroke-dasharray": DASHES[name] });

function line(name, rows) {
  const points = rows.filter((row) => !Number.isNaN(row[name])).map((row) => `${across(row.threshold)},${up(row[name])}`);
  return svg("polyline", { ...style(name), "data-score": name, points: points.join(" ") });
}

// Where the threshold stands: a line, and a dot on each curve.
function cursor(threshold, now) {
  const x = across(threshold);
  const dots = Object.keys(SCORES).filter((name) => !Number.isNaN(now[name]));
  return [
    svg("line", { class: "lab-curve-cursor", "data-threshold": threshold, x1: x, x2: x, y1: TOP - 6, y2: BOTTOM }),
    ...dots.map((name) => svg("circle", { class: "lab-curve-dot", cx: x, cy: up(now[name]), r: 3.5 })),
  ];
}
