// Drawing pictures, masks and maps. The four kinds of pixels have the colours of the lessons.

import { el } from "./ui.js";

export const FOUND = [255, 255, 255]; // true positives, white
export const FALSE_ALARM = [230, 159, 0]; // orange
export const MISSED = [0, 114, 178]; // blue
const LIGHT_BLUE = "#56b4e9"; // the network's outline
const DIM = 0.45; // how much of the picture's light is left where there is no polyp

// A canvas that shows one picture, of the page's width at most, described by `label`.
export function stage(label) {
  return el("canvas", { className: "lab-stage", role: "img", "aria-label": label });
}

// A name beside its colour, for the key below a canvas.
export const swatch = (colour, name) => el("span", { style: `--swatch: rgb(${colour})` }, name);

// What `draw` draws on a canvas, as an address for an image.
export function addressOf(draw) {
  const canvas = el("canvas");
  draw(canvas);
  return canvas.toDataURL();
}

function put(canvas, height, width, colour) {
  canvas.height = height;
  canvas.width = width;
  const image = new ImageData(width, height);
  const { data } = image;
  for (let i = 0; i < height * width; i++) {
    const [r, g, b] = colour(i);
    data[4 * i] = r;
    data[4 * i + 1] = g;
    data[4 * i + 2] = b;
    data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const pixel = ({ data }, i) => [data[3 * i], data[3 * i + 1], data[3 * i + 2]];

export function showPicture(canvas, picture) {
  put(canvas, picture.height, picture.width, (i) => pixel(picture, i));
}

// The picture, and on it found, falsely marked and missed pixels.
export function showKinds(canvas, picture, mask, truth) {
  put(canvas, picture.height, picture.width, (i) => {
    if (mask[i] && truth[i]) return mix(pixel(picture, i), FOUND, 0.6);
    if (mask[i]) return mix(pixel(picture, i), FALSE_ALARM, 0.75);
    if (truth[i]) return mix(pixel(picture, i), MISSED, 0.75);
    return pixel(picture, i).map((value) => value * DIM);
  });
}

// A map of values from 0 to 1, dark to bright; legible in greyscale and by the colour-blind (cividis-like).
export function showMap(canvas, values, height, width) {
  put(canvas, height, width, (i) => heat(values[i]));
}

const HEAT = [[0, 32, 77], [65, 77, 107], [124, 123, 120], [188, 175, 111], [255, 234, 70]];

export function heat(value) {
  const at = Math.min(Math.max(value, 0), 1) * (HEAT.length - 1);
  const first = Math.min(Math.floor(at), HEAT.length - 2);
  return mix(HEAT[first], HEAT[first + 1], at - first);
}

function mix(a, b, share) {
  return a.map((value, c) => value * (1 - share) + b[c] * share);
}

// Draw the border of a mask: white for the expert, light blue and dashed for the network, as in the lessons.
export function outline(canvas, mask, height, width, { ofNetwork = false } = {}) {
  const context = canvas.getContext("2d");
  context.fillStyle = ofNetwork ? LIGHT_BLUE : "white";
  const side = 2 * Math.max(1, width / 400);
  const at = (y, x) => (y >= 0 && x >= 0 && y < height && x < width ? mask[y * width + x] : 0);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (!at(y, x) || (ofNetwork && (x + y) % 12 < 5)) continue;
      if (at(y - 1, x) && at(y + 1, x) && at(y, x - 1) && at(y, x + 1)) continue;
      context.fillRect(x - side / 2 + 0.5, y - side / 2 + 0.5, side, side);
    }
}
