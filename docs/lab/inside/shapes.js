// The shapes of the grid: nodes, wires and heads, each an SVG element at its place.
//
// Each row begins half a column further right than the one above. Units are those of the drawing, which is scaled to
// the page.

import { svg } from "../page/ui.js";
import { key, kind, nodeText } from "./wires.js";

const SIDE = 68; // of a node's picture
const LABEL = 22; // the line with its name, below
const COLUMN = 130;
const ROW = SIDE + LABEL + 46;
const LEFT = 24; // room for the rows' sizes
const TOP = 160; // room for the heads and the arcs below them
const HEAD = 64; // height of a head's picture

const leftOf = ([i, j]) => LEFT + (i / 2 + j) * COLUMN;
const topOf = ([i]) => TOP + i * ROW;
const centreOf = (node) => leftOf(node) + SIDE / 2;

// The four points of a wire's curve; for a straight one the middle two lie on the line.
function points(wire) {
  const { source, target } = wire;
  const between = (a, b, share) => [0, 1].map((axis) => a[axis] + share * (b[axis] - a[axis]));
  const straight = (a, b) => [a, between(a, b, 1 / 3), between(a, b, 2 / 3), b];
  const bottom = (node) => topOf(node) + SIDE + LABEL;
  if (kind(wire) === "down") return straight([centreOf(source), bottom(source)], [centreOf(target) - 12, topOf(target)]);
  if (kind(wire) === "up") return straight([centreOf(source) + 6, topOf(source)], [centreOf(target), bottom(target)]);
  const columns = target[1] - source[1];
  const middle = topOf(source) + SIDE / 2;
  if (columns === 1) return straight([leftOf(source) + SIDE, middle], [leftOf(target), middle]);
  const aside = 6 + 7 * (columns - 2); // arcs that begin or end at one node lie within one another
  const from = [leftOf(source) + SIDE - aside, topOf(source)];
  const to = [leftOf(target) + aside, topOf(target)];
  const height = (source[0] ? 6 : 12) + (source[0] ? 16 : 20) * (columns - 1);
  return [from, [from[0] + 26, from[1] - height * 1.33], [to[0] - 26, to[1] - height * 1.33], to];
}

const middleOf = ([a, b, c, d]) => [0, 1].map((axis) => (a[axis] + 3 * b[axis] + 3 * c[axis] + d[axis]) / 8);

// A wire: what is seen of it, what is hit by a pointer, and the cross that says it is cut.
export function drawWire(wire, number) {
  const curve = points(wire);
  const [a, b, c, d] = curve;
  const path = `M${a} C${b} ${c} ${d}`;
  const [x, y] = middleOf(curve);
  return svg(
    "g",
    { class: `lab-wire lab-${kind(wire)}`, "data-wire": number, "data-target": key(wire.target) },
    svg("path", { class: "lab-hit", d: path }), // wide and invisible: easy to hit
    svg("path", { class: "lab-line", d: path }),
    svg("circle", { class: "lab-end", cx: d[0], cy: d[1], r: 4 }),
    svg(
      "g",
      { class: "lab-gap" },
      svg("circle", { cx: x, cy: y, r: 11 }),
      svg("path", { d: `M${x - 5},${y - 5} l10,10 m0,-10 l-10,10` }),
    ),
  );
}

// A node with its picture and its name; `size` is the side of its maps.
export function drawNode(node, size) {
  const at = [node.i, node.j];
  const [x, y] = [leftOf(at), topOf(at)];
  const picture = { x, y, width: SIDE, height: SIDE, preserveAspectRatio: "none", class: size < SIDE ? "lab-coarse" : "" };
  return svg(
    "g",
    {
      class: "lab-node",
      role: "button",
      tabindex: -1,
      "data-node": key(at),
      "aria-pressed": "false",
      "aria-label": `${nodeText(at)}, ${node.channels} channels of ${size} x ${size}`,
    },
    svg("rect", { class: "lab-card", x: x - 2, y: y - 2, width: SIDE + 4, height: SIDE + LABEL + 4, rx: 6 }),
    svg("image", picture),
    svg("text", { x: x + SIDE / 2, y: y + SIDE + 17, "text-anchor": "middle" }, nodeText(at)),
  );
}

// A picture above a node of the top row: the frame, or what a head answers.
export function drawHead(column, name, down) {
  const x = leftOf([0, column]);
  const [y, bottom] = [22, 22 + HEAD];
  const picture = { x, y, width: SIDE, height: HEAD, preserveAspectRatio: "xMidYMid meet" };
  const text = svg("text", { x: x + SIDE / 2, y: 15, "text-anchor": "middle" }, name);
  return svg(
    "g",
    { class: "lab-head", role: "img", "aria-label": name, "data-head": column },
    svg("path", { class: "lab-line", d: `M${x + SIDE / 2},${bottom} V${TOP - 3}` }),
    svg("circle", { class: "lab-end", cx: x + SIDE / 2, cy: down ? TOP - 3 : bottom + 2, r: 4 }),
    svg("rect", { class: "lab-card", x: x - 2, y: y - 2, width: SIDE + 4, height: HEAD + 4, rx: 4 }),
    svg("image", picture),
    text,
  );
}

// How large the pictures of a row are, upright on its left.
export function drawSize(i, side) {
  const [x, y] = [leftOf([i, 0]) - 9, topOf([i]) + (SIDE + LABEL) / 2];
  const place = { "text-anchor": "middle", transform: `translate(${x},${y}) rotate(-90)` };
  return svg("text", { class: "lab-size", ...place }, `${side} x ${side}`);
}

// Width and height of the whole drawing.
export const extent = (depth) => [leftOf([0, depth]) + SIDE + 6, topOf([depth, 0]) + SIDE + LABEL + 6];
