// The nested grid of UNet++ as a drawing (SVG): nodes with pictures in them, wires, and a mask at each head.
//
// Node X[i][j] stands in row i; each row begins half a column further right, so that the encoder goes down to the
// right and every other way up to the right.

import { svg } from "../page/ui.js";
import { drawHead, drawNode, drawSize, drawWire, extent } from "./shapes.js";
import { key, position } from "./wires.js";

// The grid. `onNode(node)` is called when a node is chosen, `onWire(number)` when a wire is clicked, `onLevel(level)`
// when a head is, and `onLook({node} or {wire} or {})` when the pointer or the focus comes and goes.
export function grid(facts, { onNode, onWire, onLevel, onLook }) {
  const { depth } = facts;
  const sizes = facts.nodes.map(({ i }) => facts.size[0] / 2 ** (i + 1));
  const nodes = new Map(facts.nodes.map((node, n) => [key([node.i, node.j]), drawNode(node, sizes[n])]));
  const wires = facts.wires.map(drawWire);
  const heads = Array.from({ length: depth + 1 }, (_, j) => drawHead(j, j ? `L${j}` : "frame", !j));
  const rows = Array.from({ length: depth + 1 }, (_, i) => drawSize(i, facts.size[0] / 2 ** (i + 1)));
  const [width, height] = extent(depth);
  const label = `The nested grid: ${nodes.size} nodes, ${wires.length} wires, ${depth} heads`;
  const element = svg(
    "svg",
    { class: "lab-grid", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label },
    svg("g", { "aria-hidden": "true" }, ...wires, ...rows), // the list of wires beside the grid is their keyboard's way
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

