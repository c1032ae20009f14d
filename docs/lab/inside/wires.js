// Names and kinds of the grid's nodes and wires, and which wires the buttons cut. No drawing here.
//
// Node X[i][j] has the key "i_j". A wire is {source: [i, j], target: [i, j]}; its gate is 1 (whole) or 0 (cut).

export const key = ([i, j]) => `${i}_${j}`;
export const nodeText = ([i, j]) => `X[${i}][${j}]`;
export const wireText = ({ source, target }) => `${nodeText(source)} → ${nodeText(target)}`;
export const position = (node) => node.split("_").map(Number); // "1_2" -> [1, 2]

// "down" the encoder, along a row ("skip"), or "up" to the row above.
export function kind({ source, target }) {
  if (target[0] === source[0]) return "skip";
  return target[0] > source[0] ? "down" : "up";
}

const isLong = (wire) => kind(wire) === "skip" && wire.target[1] - wire.source[1] > 1;

// In a U-Net each row has two nodes: the encoder's, and the last one, which reads it and the last one below.
function isOfUNet({ source, target }, depth) {
  const outermost = ([i, j]) => i + j === depth;
  if (target[1] === 0) return true;
  return outermost(target) && (source[1] === 0 || (source[0] > target[0] && outermost(source)));
}

// What the buttons do: [label, (wire, depth) => is it cut?, what to keep in mind].
export const PRESETS = [
  ["Join all wires", () => false, ""],
  ["Only the wires of a U-Net", (wire, depth) => !isOfUNet(wire, depth), "That is no trained U-Net: this network learnt with all its wires."],
  ["Cut all long skips", isLong, ""],
  ["Cut the encoder below row 2", (wire) => kind(wire) === "down" && wire.source[0] >= 2, ""],
];

// The wires that a node reads, each with its number among all.
export function incoming(wires, node) {
  return wires.map((wire, number) => ({ ...wire, number })).filter(({ target }) => key(target) === node);
}

// The nodes that something of the frame still reaches. The wires come in the order of computation.
export function reached(wires, gates) {
  const found = new Set(["0_0"]);
  wires.forEach(({ source, target }, number) => {
    if (gates[number] && found.has(key(source))) found.add(key(target));
  });
  return found;
}

// "X[1][2] reads X[1][0], X[1][1] and, enlarged, X[2][1]", and which of it is cut.
export function readsText(wires, gates, node) {
  const name = nodeText(position(node));
  const read = incoming(wires, node);
  if (!read.length) return `${name} reads the frame and halves it.`;
  const cut = read.filter(({ number }) => !gates[number]).map(({ source }) => nodeText(source));
  const last = nodeText(read.at(-1).source);
  const row = read.slice(0, -1).map(({ source }) => nodeText(source));
  const what = row.length ? `${row.join(", ")} and, enlarged, ${last}` : `${last} and halves it`;
  return `${name} reads ${what}${cut.length ? `; cut: ${cut.join(", ")}` : ""}.`;
}
