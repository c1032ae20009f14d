// Whether a picture is like those that the network learnt from: `polyp.data.familiar`, which explains it.
// 21 simple figures of the picture (light, colour, sharpness) are compared with a density, a mixture of
// Gaussians, of the same figures of the training frames.

import { shrink } from "./pixels.js";

const SIDE = 128; // pixels: the figures are taken from a small copy
const DARK = 0.1; // of full light
const BRIGHT = 0.92;
const SWAPPED = 3; // how much likelier a picture is with red and blue exchanged, in nats, to say so
const SMALLER = 3; // times smaller than the smallest training frame
const LARGER = 4; // times larger than the largest

// Why a picture is unlike the training frames, in a few words; empty where it is like them. `picture` is
// {data, height, width} as it came; `pixels` are those that the network sees, of `size`.
export function doubt(picture, pixels, [height, width], familiar) {
  const shortest = Math.min(picture.height, picture.width);
  const longest = Math.max(picture.height, picture.width);
  if (longest * SMALLER < familiar.sides[0])
    return `${longest} pixels: far smaller than the frames that the model learnt from`;
  if (shortest > familiar.sides[1] * LARGER)
    return `${shortest} pixels: far larger than the frames that the model learnt from`;
  const surprised = surprise(figures(pixels, height, width), familiar);
  const swapped = surprise(figures(swapRedAndBlue(pixels), height, width), familiar);
  if (swapped < Math.min(surprised - SWAPPED, familiar.limit)) return "looks as if red and blue were exchanged";
  if (surprised <= familiar.limit) return "";
  const light = mean(pixels) / 255;
  if (light < DARK) return "almost black";
  if (light > BRIGHT) return "blown out";
  return "light, colours or sharpness unlike those of the frames that the model learnt from";
}

export function swapRedAndBlue(pixels) {
  const found = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i += 3) {
    found[i] = pixels[i + 2];
    found[i + 1] = pixels[i + 1];
    found[i + 2] = pixels[i];
  }
  return found;
}

// The 21 figures of pixels, RGB, height x width x 3.
export function figures(pixels, height, width) {
  const small = shrink({ data: pixels, height, width }, SIDE, SIDE);
  const count = SIDE * SIDE;
  const light = Float32Array.from({ length: count }, (_, i) => (small[3 * i] + small[3 * i + 1] + small[3 * i + 2]) / 765);
  let lit = [...light.keys()].filter((i) => light[i] > DARK);
  const red = [], blue = [], lights = [];
  for (const i of lit) {
    const [r, g, b] = [small[3 * i] / 255, small[3 * i + 1] / 255, small[3 * i + 2] / 255];
    red.push(Math.log((r + 0.02) / (g + 0.02)));
    blue.push(Math.log((b + 0.02) / (g + 0.02)));
    lights.push(light[i]);
  }
  if (!lit.length) for (const list of [red, blue, lights]) list.push(0);
  const share = (keep) => light.reduce((sum, value) => sum + (keep(value) ? 1 : 0), 0) / count;
  const found = [mean(light), deviation(light), share((v) => v <= DARK), share((v) => v > BRIGHT)];
  for (const ratio of [red, blue])
    found.push(mean(ratio), deviation(ratio), ...quantiles(ratio, [0.05, 0.95]));
  found.push(...quantiles(lights, [0.1, 0.5, 0.9]));
  for (const scale of [1, 2, 4]) {
    const side = SIDE / scale;
    const grey = blocks(light, SIDE, scale);
    let across = 0, down = 0;
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        if (x) across += Math.abs(grey[y * side + x] - grey[y * side + x - 1]);
        if (y) down += Math.abs(grey[y * side + x] - grey[(y - 1) * side + x]);
      }
    for (const sum of [across, down]) found.push(Math.log(sum / (side * (side - 1)) + 1e-3));
  }
  return found;
}

// Minus the logarithm of the density, in nats.
export function surprise(found, { center, scale, weights, means, factors }) {
  const size = center.length;
  const scaled = found.map((value, f) => (value - center[f]) / scale[f]);
  const terms = weights.map((weight, k) => {
    const part = factors.slice(k * size * size, (k + 1) * size * size); // F x F
    const away = scaled.map((value, f) => value - means[k * size + f]);
    let term = Math.log(weight) - (size * Math.log(2 * Math.PI)) / 2;
    for (let g = 0; g < size; g++) {
      let whitened = 0;
      for (let f = 0; f < size; f++) whitened += away[f] * part[f * size + g];
      term += Math.log(part[g * size + g]) - whitened ** 2 / 2;
    }
    return term;
  });
  const most = Math.max(...terms);
  return -(most + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - most), 0)));
}

function mean(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function deviation(values) {
  const middle = mean(values);
  let sum = 0;
  for (const value of values) sum += (value - middle) ** 2;
  return Math.sqrt(sum / values.length);
}

function quantiles(values, shares) {
  const sorted = Float64Array.from(values).sort();
  return shares.map((share) => {
    const at = share * (sorted.length - 1);
    const first = Math.floor(at);
    const next = Math.min(first + 1, sorted.length - 1);
    return sorted[first] + (at - first) * (sorted[next] - sorted[first]);
  });
}

// The mean of each block of scale x scale values.
function blocks(values, side, scale) {
  const small = side / scale;
  const found = new Float32Array(small * small);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      found[Math.floor(y / scale) * small + Math.floor(x / scale)] += values[y * side + x] / scale ** 2;
  return found;
}
