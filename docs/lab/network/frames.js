// The pictures of the page, as the parts want them.

import { decode, shrink } from "./pixels.js";

const LONGEST = 1024; // pixels of a reader's own picture that are shown and marked

// All that a part needs of a frame of frames.json, or of {file}, a reader's own:
// {picture: {data, height, width}, pixels (what the network sees), truth (mask or null), title, original}, where
// `original` is the picture as it came, and `picture` may be a smaller one to show.
export async function open(frame, base, [height, width]) {
  if (frame.file) return openOwn(frame.file, height, width);
  const at = (name) => new URL(name, base).href;
  const [picture, seen, mask] = await Promise.all([
    decode(at(frame.picture)),
    decode(at(frame.seen)), // shrunk by `polyp` itself: a browser may decode a JPEG a little otherwise
    frame.mask ? decode(at(frame.mask)) : null,
  ]);
  const truth = mask && Uint8Array.from({ length: mask.height * mask.width }, (_, i) => (mask.data[3 * i] > 127 ? 1 : 0));
  return { picture, pixels: seen.data, truth, title: frame.title, original: picture };
}

async function openOwn(file, height, width) {
  const original = await decode(file);
  const pixels = shrink(original, height, width);
  const scale = Math.min(1, LONGEST / Math.max(original.height, original.width));
  const [tall, wide] = [Math.max(1, Math.round(original.height * scale)), Math.max(1, Math.round(original.width * scale))];
  const picture = { data: shrink(original, tall, wide), height: tall, width: wide };
  return { picture, pixels, truth: null, title: file.name ?? "your picture", original };
}
