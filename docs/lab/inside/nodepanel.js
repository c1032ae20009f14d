// The panel of one node: its feature maps, one of them on the frame, and what a value of it depends on.

import { mapButtons, overlay } from "./maps.js";
import { field, fieldText } from "./receptive.js";
import { el } from "../page/ui.js";
import { nodeText, position, reached } from "./wires.js";

// The chosen node: its maps, and one of them on the frame, where the pointer shows what a value depends on.
export function nodePanel(facts, state, onChannel) {
  const title = el("h3", { className: "lab-node-title" });
  const list = el("div", { className: "lab-maps", role: "group" });
  const about = el("p", { className: "lab-caption" });
  const canvas = el("canvas", { className: "lab-stage", tabIndex: 0, role: "application", "aria-label": "a channel on the frame" });
  const [cell, square] = [el("div", { className: "lab-cell" }), el("div", { className: "lab-field" })];
  const words = el("p", { className: "lab-caption lab-field-text", "aria-live": "polite" });
  const keys = el(
    "p",
    { className: "lab-caption", id: "lab-field-keys" },
    "Point at the frame, or use the arrow keys (with Shift: eight at a time), to see what one value of this node can depend on.",
  );
  canvas.setAttribute("aria-describedby", keys.id);
  const element = el(
    "div",
    { className: "lab-inside lab-node-panel", hidden: true },
    el("div", {}, title, about, list),
    el("div", {}, el("div", { className: "lab-field-stage" }, canvas, square, cell), words, keys),
  );
  const at = { down: 0.5, across: 0.5 }; // where the pointer is, as shares of the frame
  let gates, node, tellField;

  function point() {
    const row = Math.min(Math.floor(at.down * node.height), node.height - 1);
    const column = Math.min(Math.floor(at.across * node.width), node.width - 1);
    const found = field(facts, gates, state.chosen, row, column);
    const [tall, wide] = facts.size;
    lay(cell, [row, row], [column, column], node.height, node.width);
    square.hidden = !found;
    if (found) lay(square, found.rows, found.columns, tall, wide);
    words.textContent = `The value in row ${row}, column ${column} of ${nodeText(position(state.chosen))} can depend on ${fieldText(found, facts.size)}`;
    tellField({ row, column, ...found });
  }

  canvas.addEventListener("pointermove", follow);
  canvas.addEventListener("pointerdown", follow);
  function follow(event) {
    const box = canvas.getBoundingClientRect();
    const share = (value) => Math.min(Math.max(value, 0), 1);
    at.down = share((event.clientY - box.top) / box.height);
    at.across = share((event.clientX - box.left) / box.width);
    point();
  }
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const far = event.shiftKey ? 8 : 1;
    const move = (share, by, size) => (Math.min(Math.max(Math.floor(share * size) + by * far, 0), size - 1) + 0.5) / size;
    at.down = move(at.down, step[0], node.height);
    at.across = move(at.across, step[1], node.width);
    point();
  });

  return {
    element,
    show(newGates, tell) {
      [gates, node, tellField] = [newGates, state.nodes[state.chosen], tell];
      const name = nodeText(position(state.chosen));
      const { channels, height, width, maps } = node;
      const deaf = !reached(facts.wires, gates).has(state.chosen);
      element.hidden = false;
      title.textContent = `${name}: ${channels} channels of ${height} x ${width}`;
      about.textContent = deaf
        ? "Every way from the frame to this node is cut. What is left comes from its own numbers and, at the edges, from the padding: it is the same for every frame."
        : `The ${maps.length} that vary most over this frame (by their standard deviation), each from its smallest value (dark) to its largest (bright). Pick one to lay it on the frame.`;
      list.setAttribute("aria-label", `channels of ${name}`);
      const focused = list.contains(document.activeElement);
      list.replaceChildren(...mapButtons(maps, height, width, state.channel, onChannel));
      if (focused) list.children[state.channel].focus();
      const { picture, pixels, title: frame } = state.opened;
      canvas.style.aspectRatio = `${picture.width} / ${picture.height}`;
      canvas.setAttribute("aria-label", `channel ${maps[state.channel].number} of ${name} on the frame: ${frame}`);
      overlay(canvas, pixels, facts.size, { values: maps[state.channel].values, height, width });
      point();
    },
  };
}

// Put an element over the rows and columns [first, last] of a stage that has so many.
function lay(element, rows, columns, height, width) {
  element.style.top = `${(100 * rows[0]) / height}%`;
  element.style.left = `${(100 * columns[0]) / width}%`;
  element.style.height = `${(100 * (rows[1] - rows[0] + 1)) / height}%`;
  element.style.width = `${(100 * (columns[1] - columns[0] + 1)) / width}%`;
}
