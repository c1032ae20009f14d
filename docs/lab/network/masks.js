// Masks and their scores. A mask is a Uint8Array of 0 and 1, height x width; probabilities are a Float32Array.

import { resizeLinear } from "./pixels.js";

export const SPECK = 10; // pixels: a smaller region is a slip of the pen, not a polyp

// Logits of the network's size -> probabilities of the picture's.
export function probabilities(logits, [height, width], newHeight, newWidth) {
  const large = resizeLinear(logits, height, width, newHeight, newWidth);
  return large.map((value) => 1 / (1 + Math.exp(-value))); // many times faster than Float32Array.from
}

export function threshold(probs, level) {
  return new Uint8Array(probs.map((value) => (value > level ? 1 : 0)));
}

export function mean(maps) {
  return maps[0].map((_, i) => maps.reduce((sum, map) => sum + map[i], 0) / maps.length);
}

// The share of the picture that a mask marks.
export const shareOf = (mask) => mask.reduce((sum, value) => sum + value, 0) / mask.length;

// True and false positives and negatives: the four kinds of pixels.
export function countPixels(mask, truth) {
  const counts = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (let i = 0; i < mask.length; i++)
    if (mask[i]) truth[i] ? counts.tp++ : counts.fp++;
    else truth[i] ? counts.fn++ : counts.tn++;
  return counts;
}

// Each is NaN where it is not defined: 0 of 0.
export const dice = ({ tp, fp, fn }) => (2 * tp) / (2 * tp + fp + fn);
export const precision = ({ tp, fp }) => tp / (tp + fp);
export const recall = ({ tp, fn }) => tp / (tp + fn);

// The 8-connected regions of a mask: for each pixel its region's number from 1 (0 is background), and their count.
export function labelRegions(mask, height, width) {
  const labels = new Int32Array(mask.length);
  const stack = [];
  let count = 0;
  for (let seed = 0; seed < mask.length; seed++) {
    if (!mask[seed] || labels[seed]) continue;
    labels[seed] = ++count;
    stack.push(seed);
    while (stack.length) {
      const at = stack.pop();
      const [y, x] = [Math.floor(at / width), at % width];
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++)
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          const next = v * width + u;
          if (mask[next] && !labels[next]) {
            labels[next] = count;
            stack.push(next);
          }
        }
    }
  }
  return { labels, count };
}

// The mask without regions of which the network is less sure: `polyp.run.regions.shown_regions`. A region is
// shown if its highest `evidence` is above `min_peak` and it takes `min_share` of the picture; regions smaller than a
// speck go, too.
export function shownRegions(probs, height, width, { threshold: level, min_peak, min_share }, evidence = probs) {
  const mask = threshold(probs, level);
  const least = Math.max(SPECK, min_share * mask.length); // pixels
  const { labels, count } = labelRegions(mask, height, width);
  const peaks = new Float32Array(count + 1);
  const sizes = new Uint32Array(count + 1);
  labels.forEach((label, i) => {
    peaks[label] = Math.max(peaks[label], evidence[i]);
    sizes[label]++;
  });
  return mask.map((value, i) => (value && peaks[labels[i]] > min_peak && sizes[labels[i]] >= least ? 1 : 0));
}
