// What a node sees: its channels, each a map of height x width values.

import { heat, showMap } from "../page/canvas.js";
import { el } from "../page/ui.js";

export const SHOWN = 12; // channels of a node

const channel = ({ data, height, width }, c) => data.subarray(c * height * width, (c + 1) * height * width);

function deviation(values) {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  return Math.sqrt(Math.max(squares / values.length - (sum / values.length) ** 2, 0));
}

// The channels that vary most over the frame (by their standard deviation), copied, so that the rest can be
// forgotten: [{number, strength, values}].
export function strongest(node, count = SHOWN) {
  const strengths = Array.from({ length: node.channels }, (_, c) => deviation(channel(node, c)));
  const order = [...strengths.keys()].sort((a, b) => strengths[b] - strengths[a]);
  return order.slice(0, count).map((c) => ({ number: c, strength: strengths[c], values: channel(node, c).slice() }));
}

export function meanOfChannels(node) {
  const sums = new Float32Array(node.height * node.width);
  for (let c = 0; c < node.channels; c++) channel(node, c).forEach((value, i) => (sums[i] += value / node.channels));
  return sums;
}

// From the smallest to the largest value: 0 to 1. A constant map is 0.
export function normalise(values) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const range = most - least;
  return values.map((value) => (range > 1e-6 ? (value - least) / range : 0));
}

// Buttons with the maps, the strongest first; `onPick(place in the list)`.
export function mapButtons(maps, height, width, picked, onPick) {
  return maps.map(({ number, values }, k) => {
    const canvas = el("canvas", { "aria-hidden": "true" });
    showMap(canvas, normalise(values), height, width);
    return el(
      "button",
      {
        type: "button",
        className: "lab-map",
        "data-channel": number,
        "aria-label": `channel ${number}`,
        "aria-pressed": String(k === picked),
        onclick: () => onPick(k),
      },
      canvas,
      el("span", {}, String(number)),
    );
  });
}

// A map on the frame as the network sees it: dark where the map is low, bright where it is high. The map's cells
// stay visible.
export function overlay(canvas, pixels, [tall, wide], { values, height, width }) {
  const shares = normalise(values);
  const image = new ImageData(wide, tall);
  for (let y = 0; y < tall; y++)
    for (let x = 0; x < wide; x++) {
      const at = y * wide + x;
      const share = shares[Math.floor((y * height) / tall) * width + Math.floor((x * width) / wide)];
      const bright = heat(share);
      for (let c = 0; c < 3; c++) image.data[4 * at + c] = pixels[3 * at + c] * 0.6 * (1 - share) + bright[c] * share;
      image.data[4 * at + 3] = 255;
    }
  canvas.height = tall;
  canvas.width = wide;
  canvas.getContext("2d").putImageData(image, 0, 0);
}
