// Pictures that the page makes itself: real frames spoilt so that nothing but what is said is changed, and noise.

import { open } from "../network/frames.js";
import { mirror, resizePicture, shrink } from "../network/pixels.js";
import { swapRedAndBlue } from "../network/familiar.js";

const DARK = 0.05; // of the frame's light is left
const COARSE = 16; // rows of pixels are left of a blurred frame
const BLOBS = 27; // rows of spots in coarse noise
export const SHAPE = { height: 436, width: 512 }; // of the noise, that of a real frame

// `make` turns a picture into another; with `from`, the picture is that frame of frames.json.
export const MADE = [
  { name: "swapped", from: "stalk", title: "a real frame, red and blue exchanged", make: swapped },
  { name: "grey", from: "glossy", title: "a real frame, upside down and grey", make: greyUpsideDown, upsideDown: true },
  { name: "black", from: "fold", title: "a real frame, almost black", make: almostBlack },
  { name: "blurred", from: "large", title: "a real frame, heavily blurred", make: blurred },
  { name: "fine_noise", title: "fine noise, a random colour for each pixel", make: (shape) => noise(shape, shape.height) },
  { name: "coarse_noise", title: "coarse noise, the same in soft spots", make: (shape) => noise(shape, BLOBS) },
];

// What `open` of frames.js gives, for a row of MADE.
export async function openMade({ from, title, make, upsideDown }, frames, base, [height, width]) {
  const source = from ? await open(frames.find((frame) => frame.name === from), base, [height, width]) : null;
  const picture = make(source ? source.picture : SHAPE);
  let truth = source ? source.truth : new Uint8Array(picture.height * picture.width);
  if (upsideDown) truth = mirror(truth, picture.height, picture.width, 1, false, true);
  return { picture, pixels: shrink(picture, height, width), truth, title, original: picture };
}

function swapped({ data, height, width }) {
  return { data: swapRedAndBlue(data), height, width };
}

function greyUpsideDown({ data, height, width }) {
  const grey = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) // the colours weighed as the eye does, and OpenCV
    grey.fill(Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]), i, i + 3);
  return { data: mirror(grey, height, width, 3, false, true), height, width };
}

function almostBlack({ data, height, width }) {
  return { data: data.map((value) => Math.round(DARK * value)), height, width };
}

// Shrunk to a few pixels and enlarged again.
function blurred({ data, height, width }) {
  const few = { height: COARSE, width: Math.round((COARSE * width) / height) };
  return resizePicture({ data: shrink({ data, height, width }, few.height, few.width), ...few }, height, width);
}

// Random colours, `rows` rows of them, enlarged to the whole picture.
function noise({ height, width }, rows) {
  const few = { height: rows, width: Math.round((rows * width) / height) };
  const random = randomNumbers(1);
  const data = Uint8Array.from({ length: 3 * few.height * few.width }, () => Math.floor(256 * random()));
  return resizePicture({ data, ...few }, height, width);
}

// Mulberry32, a generator that gives everyone the same numbers from 0 to 1; Math.random has no seed.
function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
