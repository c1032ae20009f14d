// What endoscopes, cameras and programmers do to a frame before the network sees it.
//
// All of it happens to the network's own pixels, RGB, height x width x 3. The steps come in the order of an
// endoscope: the scope rolls, its lens is out of focus, its lamp too weak or too bright, and then a program
// stores the colours the other way round. A step that is at rest leaves every value as it is.

import { swapRedAndBlue } from "../network/familiar.js";

// `shape` is the height and width of the picture that the pixels were shrunk from; `knobs` are {rotation, edge,
// blur, brightness, bgr}.
export function spoil(pixels, [height, width], shape, { rotation, edge, blur, brightness, bgr }) {
  let found = pixels;
  if (rotation) found = turn(found, height, width, shape, rotation, edge);
  if (blur) found = soften(found, height, width, blur);
  if (brightness !== 1) found = found.map((value) => Math.min(Math.round(value * brightness), 255));
  return bgr ? swapRedAndBlue(found) : found;
}

// Turn by `degrees` to the left, about the middle; what comes in from outside repeats the edge or is black.
//
// The network's square is a picture that was squeezed, so turning the square would shear the picture. The
// turning is therefore that of the picture, `shape`, followed here on the square: a mask of the picture's own
// size that `turnMask` turns by the same angle stays on its polyp, and no score needs turning back.
export function turn(pixels, height, width, shape, degrees, edge) {
  const from = origins(height, width, shape, degrees);
  const found = new Uint8Array(pixels.length);
  const value = (y, x, c) => {
    const outside = y < 0 || x < 0 || y >= height || x >= width;
    if (outside && edge === "black") return 0;
    return pixels[(clamp(y, height) * width + clamp(x, width)) * 3 + c];
  };
  for (let y = 0, k = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [v, u] = from(y, x);
      const [top, left] = [Math.floor(v), Math.floor(u)];
      const [down, right] = [v - top, u - left];
      for (let c = 0; c < 3; c++) {
        const upper = value(top, left, c) * (1 - right) + value(top, left + 1, c) * right;
        const lower = value(top + 1, left, c) * (1 - right) + value(top + 1, left + 1, c) * right;
        found[k++] = Math.round(upper * (1 - down) + lower * down);
      }
    }
  return found;
}

// The mask of a picture that is turned, at the picture's size. Nobody outlined what lies outside: no polyp.
export function turnMask(mask, height, width, degrees) {
  if (!degrees) return mask;
  const from = origins(height, width, [height, width], degrees);
  const found = new Uint8Array(mask.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [v, u] = from(y, x).map(Math.round);
      if (v >= 0 && u >= 0 && v < height && u < width) found[y * width + x] = mask[v * width + u];
    }
  return found;
}

// For each pixel (y, x) of the turned array, the place it comes from: out to the picture's coordinates, back by
// the angle, and in again. Pixel 0 has its middle at 0.5.
function origins(height, width, [tall, wide], degrees) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return (y, x) => {
    const down = ((y + 0.5) / height - 0.5) * tall;
    const right = ((x + 0.5) / width - 0.5) * wide;
    const [v, u] = [sin * right + cos * down, cos * right - sin * down];
    return [(v / tall + 0.5) * height - 0.5, (u / wide + 0.5) * width - 0.5];
  };
}

// Gaussian blur as OpenCV's: the weights reach three sigmas, and the picture is mirrored at its edge.
export function soften(pixels, height, width, sigma) {
  const weights = bell(sigma);
  const row = width * 3;
  const columns = reflected(width, weights.length, 3);
  const rows = reflected(height, weights.length, row);
  const across = new Float32Array(pixels.length);
  const found = new Float32Array(pixels.length);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * pixels[y * row + columns[x + k] + c];
        across[i++] = sum;
      }
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < row; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * across[rows[y + k] + x];
      found[i++] = sum;
    }
  return new Uint8Array(found.map(Math.round));
}

// Where the neighbours of a line of `size` values lie that are `stride` apart: ... 2 1 | 0 1 2 ... Those of value
// x begin at x; the value at the edge stands once.
function reflected(size, neighbours, stride) {
  const reach = (neighbours - 1) / 2;
  const at = (k) => (k < 0 ? -k : k >= size ? 2 * (size - 1) - k : k);
  return Int32Array.from({ length: size + 2 * reach }, (_, k) => stride * at(k - reach));
}

function bell(sigma) {
  const reach = Math.floor((Math.round(6 * sigma + 1) | 1) / 2); // as many pixels as OpenCV takes for 8 bit
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-((k - reach) ** 2) / (2 * sigma ** 2)));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

const clamp = (at, size) => Math.min(Math.max(at, 0), size - 1);
