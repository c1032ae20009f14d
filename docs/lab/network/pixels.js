// Pictures as arrays. A picture is {data: Uint8Array, RGB, height x width x 3; height; width}.

import { get } from "./fetching.js";

export const LARGEST = 40e6; // pixels: more would fill a phone's memory while they are decoded

// The pixels of a file, a blob or an address, turned upright as its EXIF says.
export async function decode(source) {
  const blob = typeof source === "string" ? await (await get(source)).blob() : source;
  const { width, height } = await measure(blob);
  if (width * height > LARGEST)
    throw new Error(`${width} x ${height} pixels: more than ${LARGEST / 1e6} megapixels; scale it down first`);
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close(); // its memory is needed, and the garbage collector takes its time
  const { data: rgba } = context.getImageData(0, 0, canvas.width, canvas.height);
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0, k = 0; i < rgba.length; i += 4) {
    if (rgba[i + 3] < 255) throw new Error("the picture is transparent in places; put it on a background first");
    rgb[k++] = rgba[i];
    rgb[k++] = rgba[i + 1];
    rgb[k++] = rgba[i + 2];
  }
  return { data: rgb, height: canvas.height, width: canvas.width };
}

// Width and height from the picture's header, without decoding all of it.
async function measure(blob) {
  const image = new Image();
  const address = URL.createObjectURL(blob);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("not a picture that this browser can read; try a PNG or a JPEG"));
      image.src = address;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(address);
  }
}

// Shrink as OpenCV's INTER_AREA does: each new pixel is the mean of what it covers. A side that grows is
// interpolated, as OpenCV does then. This is `polyp.data.images.shrink`.
export function shrink({ data, height, width }, newHeight, newWidth) {
  if (height === newHeight && width === newWidth) return data;
  const kind = newHeight <= height && newWidth <= width ? areaWeights : growingWeights;
  const across = kind(width, newWidth);
  const down = kind(height, newHeight);
  return Uint8Array.from(resample(data, width, 3, down, across), round);
}

// To the nearest whole number, halves to the even one, as OpenCV and NumPy do.
function round(value) {
  const whole = Math.floor(value);
  if (value - whole !== 0.5) return Math.round(value);
  return whole % 2 ? whole + 1 : whole;
}

// Enlarge or shrink one channel as OpenCV's INTER_LINEAR does; for logits, Float32Array.
export function resizeLinear(values, height, width, newHeight, newWidth) {
  if (height === newHeight && width === newWidth) return values;
  return resample(values, width, 1, linearWeights(height, newHeight), linearWeights(width, newWidth));
}

// Likewise a picture.
export function resizePicture({ data, height, width }, newHeight, newWidth) {
  const values = resample(data, width, 3, linearWeights(height, newHeight), linearWeights(width, newWidth));
  const found = new Uint8Array(values.map(Math.round)); // many times faster than Uint8Array.from
  return { data: found, height: newHeight, width: newWidth };
}

// For each new pixel [first old pixel, its weight, the next one's weight, ...].
function areaWeights(size, newSize) {
  const scale = size / newSize;
  return Array.from({ length: newSize }, (_, k) => {
    const start = k * scale;
    const end = Math.min(start + scale, size);
    const first = Math.floor(start + 1e-9);
    const weights = [first];
    for (let i = first; i < end - 1e-9; i++)
      weights.push((Math.min(i + 1, end) - Math.max(i, start)) / (end - start));
    return weights;
  });
}

function growingWeights(size, newSize) {
  const scale = size / newSize;
  return Array.from({ length: newSize }, (_, k) => {
    const first = Math.min(Math.floor(k * scale), size - 1);
    const share = k + 1 - (first + 1) / scale;
    const next = share <= 0 || first + 1 >= size ? 0 : share - Math.floor(share);
    return next ? [first, 1 - next, next] : [first, 1];
  });
}

function linearWeights(size, newSize) {
  return Array.from({ length: newSize }, (_, k) => {
    const at = Math.min(Math.max(((k + 0.5) * size) / newSize - 0.5, 0), size - 1);
    const first = Math.min(Math.floor(at), Math.max(size - 2, 0));
    return size > 1 ? [first, 1 - (at - first), at - first] : [0, 1];
  });
}

function resample(values, width, channels, down, across) {
  const newWidth = across.length;
  const row = newWidth * channels;
  const height = values.length / (width * channels);
  const narrow = new Float32Array(height * row); // height x newWidth
  for (let x = 0; x < newWidth; x++) {
    const [first, ...weights] = across[x];
    for (let y = 0; y < height; y++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++)
          sum += weights[k] * values[(y * width + first + k) * channels + c];
        narrow[y * row + x * channels + c] = sum;
      }
  }
  const found = new Float32Array(down.length * row);
  for (let y = 0; y < down.length; y++) {
    const [first, ...weights] = down[y];
    for (let x = 0; x < row; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * row + x];
      found[y * row + x] = sum;
    }
  }
  return found;
}

// Mirror an array of height x width x channels left to right (`across`), upside down (`down`), or both.
export function mirror(values, height, width, channels, across, down) {
  const found = new values.constructor(values.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = ((down ? height - 1 - y : y) * width + (across ? width - 1 - x : x)) * channels;
      for (let c = 0; c < channels; c++) found[(y * width + x) * channels + c] = values[from + c];
    }
  return found;
}
