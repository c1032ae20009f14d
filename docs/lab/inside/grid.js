// The nested grid of UNet++ as a drawing (SVG): nodes with pictures in them, wires, and a mask at each head.
//
// Node X[i][j] stands in row i; each row begins half a column further right, so that the encoder goes down to the
// right and every other way up to the right. Units are those of the drawing, which is scaled to the page.

import { key, kind, nodeText, position } from "./wires.js";

const SIDE = 68; // of a node's picture
const LABEL = 22; // the line with its name, below
const COLUMN = 130;
const ROW = SIDE + LABEL + 46;
const LEFT = 24; // room for the rows' sizes
const TOP = 160; // room for the heads and the arcs below them
const HEAD = 64; // height of a head's picture

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const leftOf = ([i, j]) => LEFT + (i / 2 + j) * COLUMN;
const topOf = ([i]) => TOP + i * ROW;
const centreOf = (node) => leftOf(node) + SIDE / 2;

// The four points of a wire's curve; for a straight one the middle two lie on the line.
function points(wire) {
  const { source, target } = wire;
  const straight = (a, b) => [a, [(2 * a[0] + b[0]) / 3, (2 * a[1] + b[1]) / 3], [(a[0] + 2 * b[0]) / 3, (a[1] + 2 * b[1]) / 3], b];
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

function drawWire(wire, number) {
  const curve = points(wire);
  const [a, b, c, d] = curve;
  const path = `M${a} C${b} ${c} ${d}`;
  const [x, y] = middleOf(curve);
  return draw(
    "g",
    { class: `lab-wire lab-${kind(wire)}`, "data-wire": number, "data-target": key(wire.target) },
    draw("path", { class: "lab-hit", d: path }), // wide and invisible: easy to hit
    draw("path", { class: "lab-line", d: path }),
    draw("circle", { class: "lab-end", cx: d[0], cy: d[1], r: 4 }),
    draw("g", { class: "lab-gap" }, draw("circle", { cx: x, cy: y, r: 11 }), draw("path", { d: `M${x - 5},${y - 5} l10,10 m0,-10 l-10,10` })),
  );
}

function drawNode(node, size) {
  const at = [node.i, node.j];
  const [x, y] = [leftOf(at), topOf(at)];
  const picture = { x, y, width: SIDE, height: SIDE, preserveAspectRatio: "none", class: size < SIDE ? "lab-coarse" : "" };
  return draw(
    "g",
    {
      class: "lab-node",
      role: "button",
      tabindex: -1,
      "data-node": key(at),
      "aria-pressed": "false",
      "aria-label": `${nodeText(at)}, ${node.channels} channels of ${size} x ${size}`,
    },
    draw("rect", { class: "lab-card", x: x - 2, y: y - 2, width: SIDE + 4, height: SIDE + LABEL + 4, rx: 6 }),
    draw("image", picture),
    draw("text", { x: x + SIDE / 2, y: y + SIDE + 17, "text-anchor": "middle" }, nodeText(at)),
  );
}

// A picture above a node of the top row: the frame, or what a head answers.
function drawHead(column, name, down) {
  const x = leftOf([0, column]);
  const [y, bottom] = [22, 22 + HEAD];
  const picture = { x, y, width: SIDE, height: HEAD, preserveAspectRatio: "xMidYMid meet" };
  const text = draw("text", { x: x + SIDE / 2, y: 15, "text-anchor": "middle" }, name);
  return draw(
    "g",
    { class: "lab-head", role: "img", "aria-label": name, "data-head": column },
    draw("path", { class: "lab-line", d: `M${x + SIDE / 2},${bottom} V${TOP - 3}` }),
    draw("circle", { class: "lab-end", cx: x + SIDE / 2, cy: down ? TOP - 3 : bottom + 2, r: 4 }),
    draw("rect", { class: "lab-card", x: x - 2, y: y - 2, width: SIDE + 4, height: HEAD + 4, rx: 4 }),
    draw("image", picture),
    text,
  );
}

// The grid. `onNode(node)` is called when a node is chosen, `onWire(number)` when a wire is clicked, `onLevel(level)`
// when a head is, and `onLook({node} or {wire} or {})` when the pointer or the focus comes and goes.
export function grid(facts, { onNode, onWire, onLevel, onLook }) {
  const { depth } = facts;
  const sizes = facts.nodes.map(({ i }) => facts.size[0] / 2 ** (i + 1));
  const nodes = new Map(facts.nodes.map((node, n) => [key([node.i, node.j]), drawNode(node, sizes[n])]));
  const wires = facts.wires.map(drawWire);
  const heads = Array.from({ length: depth + 1 }, (_, j) => drawHead(j, j ? `L${j}` : "frame", !j));
  const rows = Array.from({ length: depth + 1 }, (_, i) => {
    const [x, y] = [leftOf([i, 0]) - 9, topOf([i]) + (SIDE + LABEL) / 2];
    const side = facts.size[0] / 2 ** (i + 1);
    return draw("text", { class: "lab-size", "text-anchor": "middle", transform: `translate(${x},${y}) rotate(-90)` }, `${side} x ${side}`);
  });
  const [width, height] = [leftOf([0, depth]) + SIDE + 6, topOf([depth, 0]) + SIDE + LABEL + 6];
  const element = draw(
    "svg",
    { class: "lab-grid", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `The nested grid: ${nodes.size} nodes, ${wires.length} wires, ${depth} heads` },
    draw("g", { "aria-hidden": "true" }, ...wires, ...rows), // the list of wires beside the grid is their keyboard's way
    ...heads,
    ...nodes.values(),
  );

  let chosen;
  const choose = (node) => {
    chosen = node;
    for (const [name, one] of nodes) {
      one.setAttribute("aria-pressed", String(name === node));
      one.setAttribute("tabindex", name === node ? 0 : -1); // Tab comes here once; arrow keys go on
    }
  };
  const emphasise = (look) => {
    element.classList.toggle("lab-looking", Boolean(look.node || look.wire !== undefined));
    wires.forEach((one, number) => one.classList.toggle("lab-read", look.wire === number || (look.node && one.dataset.target === look.node)));
    onLook(look);
  };
  const enter = (one, look) => {
    one.addEventListener("pointerenter", () => emphasise(look));
    one.addEventListener("pointerleave", () => emphasise({}));
  };
  for (const [name, one] of nodes) {
    enter(one, { node: name });
    one.addEventListener("focus", () => emphasise({ node: name }));
    one.addEventListener("blur", () => emphasise({}));
    one.addEventListener("click", () => onNode(name));
    one.addEventListener("keydown", (event) => {
      const next = neighbour(name, event.key, depth);
      if (next) {
        for (const other of nodes.values()) other.setAttribute("tabindex", -1);
        nodes.get(next).setAttribute("tabindex", 0);
        nodes.get(next).focus();
      } else if (event.key === "Enter" || event.key === " ") onNode(name);
      else return;
      event.preventDefault();
    });
  }
  element.addEventListener("focusout", (event) => {
    if (!element.contains(event.relatedTarget) && chosen) choose(chosen); // Tab comes back to the chosen node
  });
  wires.forEach((one, number) => {
    enter(one, { wire: number });
    one.addEventListener("click", () => onWire(number));
  });
  heads.slice(1).forEach((one, j) => one.addEventListener("click", () => onLevel(j + 1)));

  const picture = (one, address) => one.querySelector("image").setAttribute("href", address);
  return {
    element,
    choose,
    emphasise,
    // Which wires are cut, and which nodes hear nothing of the frame any more.
    setGates(gates, reached) {
      wires.forEach((one, number) => one.classList.toggle("lab-cut", !gates[number]));
      for (const [name, one] of nodes) one.classList.toggle("lab-deaf", !reached.has(name));
      heads.slice(1).forEach((one, j) => one.classList.toggle("lab-deaf", !reached.has(key([0, j + 1]))));
    },
    setThumbnail: (node, address) => picture(nodes.get(node), address),
    // The head's mask and its words; head 0 is the frame.
    setHead(column, address, text, label = text) {
      picture(heads[column], address);
      heads[column].querySelector("text").textContent = text;
      heads[column].setAttribute("aria-label", label);
    },
    setLevel(level) {
      heads.forEach((one, j) => one.classList.toggle("lab-picked", j === level));
    },
  };
}

// The node that an arrow key leads to: along the row, or to the nearest one of the row above or below.
function neighbour(node, pressed, depth) {
  const [i, j] = position(node);
  const steps = { ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1], ArrowUp: [i - 1, j], ArrowDown: [i + 1, Math.min(j, depth - i - 1)] };
  const next = steps[pressed];
  return next && next[0] >= 0 && next[1] >= 0 && next[0] + next[1] <= depth ? key(next) : null;
}

