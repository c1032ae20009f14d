// Which pixels of the frame a value of a node can depend on: its receptive field.
//
// Go backwards from the value. A convolution with a kernel of k, a stride of s and p cells of padding reads, for
// the cells a to b, its input's cells a s - p to b s - p + k - 1. All convolutions of a node together are like one
// (network.json says which, as `reads`). Rows and columns go the same way, so one axis is enough here.

import { incoming, key } from "./wires.js";

const convolve = ([a, b], { kernel, stride, before }) => [a * stride - before, b * stride - before + kernel - 1];

// Twofold linear enlargement: cell a lies between the small cells (a - 1) / 2, rounded down, and the next one.
const enlarge = ([a, b]) => [Math.floor((a - 1) / 2), Math.floor((b + 1) / 2)];

const union = (spans) => [Math.min(...spans.map(([a]) => a)), Math.max(...spans.map(([, b]) => b))];

// The first and the last pixel of the frame, maybe outside it, that the cells [a, b] of a node depend on; null where
// cut wires leave none.
export function span(facts, gates, node, cells) {
  const { i, j, reads } = facts.nodes.find((one) => key([one.i, one.j]) === node);
  const read = convolve(cells, reads);
  if (i === 0 && j === 0) return read; // these are pixels
  const spans = incoming(facts.wires, node)
    .filter(({ number }) => gates[number])
    .map(({ source }) => span(facts, gates, key(source), source[0] > i ? enlarge(read) : read))
    .filter(Boolean);
  return spans.length ? union(spans) : null;
}

// {rows: [first, last], columns: [first, last], side}: what one value depends on inside the frame; `side` is the
// length of the whole square, outside it, too. null where nothing reaches the node.
export function field(facts, gates, node, row, column) {
  const down = span(facts, gates, node, [row, row]);
  const across = span(facts, gates, node, [column, column]);
  if (!down) return null;
  const [height, width] = facts.size;
  const inside = ([a, b], size) => [Math.max(a, 0), Math.min(b, size - 1)];
  return { rows: inside(down, height), columns: inside(across, width), side: down[1] - down[0] + 1 };
}

export function fieldText(found, [height, width]) {
  if (!found) return "no pixel of the frame: its wires are cut.";
  const tall = found.rows[1] - found.rows[0] + 1;
  const wide = found.columns[1] - found.columns[0] + 1;
  if (tall === height && wide === width)
    return `every pixel of the frame (its square has ${found.side} a side, more than the frame).`;
  const share = Math.round((100 * tall * wide) / (height * width));
  const clipped = tall < found.side || wide < found.side ? `, the part within the frame of a square of ${found.side} a side` : "";
  return `${wide} x ${tall} pixels, ${share < 1 ? "less than 1" : share} % of the frame${clipped}.`;
}
