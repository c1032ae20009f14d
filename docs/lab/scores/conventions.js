// Ten conventions by which programs and papers call a number "Dice": `polyp.run.scoring`, which `polyp score` uses.
//
// All that they need of a frame are two histograms of its map, {polyp, rest}: how many of the polyp's pixels, and
// of all others, have each grey value from 0 to 255. The probabilities are rounded to grey values as in a saved
// map (`polyp predict --probabilities`), so that `polyp score` gives the same.

import { dice } from "../network/masks.js";

const GREYS = 256;

export function histograms(probs, truth) {
  const found = { polyp: new Float64Array(GREYS), rest: new Float64Array(GREYS) };
  probs.forEach((value, i) => {
    const counts = truth[i] ? found.polyp : found.rest;
    counts[Math.round(255 * value)]++;
  });
  return found;
}

// D is a frame's Dice, 2 TP / (2 TP + FP + FN), at the threshold 0.5; 0 / 0 where nothing is there nor marked.

// The mean of D over the frames with a polyp.
const imageMean = (frames) => mean(frames.filter(hasPolyp).map(atHalf).map(dice));

// The mean of D over the frames in which it is defined: a clean one that is marked has D = 0.
const imageMeanAll = (frames) => meanOfDefined(frames.map(atHalf).map(dice));

// The mean of D over all frames, with 0 / 0 = 1.
const imageMeanEmpty1 = (frames) => mean(frames.map(atHalf).map(dice).map((value) => orElse(value, 1)));

// 2 TP / (2 TP + FP + FN), each summed over all frames.
const pooled = (frames) => dice(sum(frames.map(atHalf)));

// The mean over the frames with a polyp of max D(t), t = 1/255, 2/255, ..., 1.
const bestThreshold = (frames) =>
  mean(frames.filter(hasPolyp).map((frame) => Math.max(...curve(frame, plain()).slice(1))));

// The mean over frames and t of D(t) of the stretched map, t = 0, 1/255, ..., 1; 0 / 0 = 0.
const pranetMean = (frames) => mean(frames.map((frame) => mean(curve(frame, stretched(frame)))));

// The max over t of the mean over frames of that D(t): one threshold, the best, for all frames.
function pranetMax(frames) {
  const curves = frames.map((frame) => curve(frame, stretched(frame)));
  return Math.max(...curves[0].map((_, t) => mean(curves.map((one) => one[t]))));
}

// The mean over all frames of (D + Dice of the background) / 2, or of the one that is defined.
const backgroundMean = (frames) =>
  mean(frames.map(atHalf).map((counts) => meanOfDefined([dice(counts), dice(background(counts))])));

// (Dice of all pixels + Dice of all background pixels) / 2.
function backgroundPooled(frames) {
  const counts = sum(frames.map(atHalf));
  return (dice(counts) + dice(background(counts))) / 2;
}

// The mean over all frames of D(t) of the stretched map, t = twice its mean, at most 1; 0 / 0 = 0.
const adaptive = (frames) =>
  mean(
    frames.map((frame) => {
      const values = stretched(frame);
      const { polyp, rest } = frame;
      const pixels = total(polyp) + total(rest);
      const light = values.reduce((all, value, grey) => all + (polyp[grey] + rest[grey]) * value, 0) / pixels;
      const least = Math.min(2 * light, 1);
      return orElse(dice(countWhere(frame, (grey) => values[grey] >= least)), 0);
    }),
  );

// The order is that of `polyp score`. `does` is shown to the reader.
export const CONVENTIONS = [
  { name: "image_mean", title: "Mean of the frames with a polyp", usedBy: "polyp validate; MONAI", score: imageMean,
    does: "Each frame has its Dice, and the mean is taken of those with a polyp. Clean frames do not count." },
  { name: "image_mean_all", title: "Mean, clean frames marked count 0", usedBy: "nnU-Net", score: imageMeanAll,
    does: "Each frame has its Dice, which is 0 on a clean frame where anything is marked. Clean frames that are left clean are left out." },
  { name: "image_mean_empty_1", title: "Mean, clean frames left clean count 1", usedBy: "segmentation_models", score: imageMeanEmpty1,
    does: "All frames count: a clean frame as 1 if nothing is marked, else as 0." },
  { name: "pooled", title: "All pixels pooled", usedBy: "DUCK-Net", score: pooled,
    does: "The pixels of all frames are thrown together, and there is one Dice. Large polyps outweigh small ones." },
  { name: "best_threshold", title: "Best threshold for each frame", usedBy: "BSDS500's OIS; a bound", score: bestThreshold,
    does: "Each frame with a polyp gets the threshold that suits it best, chosen by looking at its truth." },
  { name: "pranet_mean", title: "Mean of 256 thresholds", usedBy: "PraNet toolbox meanDic", score: pranetMean,
    does: "Each map is stretched to 0 to 1 and cut at 256 thresholds; all of these Dice are averaged. Clean frames count as 0." },
  { name: "pranet_max", title: "Best of 256 thresholds", usedBy: "PraNet toolbox maxDic", score: pranetMax,
    does: "Each map is stretched to 0 to 1, and all are cut at the one of 256 thresholds that suits them best, chosen by looking at the truth. Clean frames count as 0." },
  { name: "background_mean", title: "Averaged with the background, by frame", usedBy: "torchmetrics DiceScore", score: backgroundMean,
    does: "In each frame the Dice of the polyp and the Dice of what is not polyp, which is easy, are averaged." },
  { name: "background_pooled", title: "Averaged with the background, pooled", usedBy: "MMSegmentation", score: backgroundPooled,
    does: "The pixels of all frames are thrown together; then the Dice of polyp and that of background are averaged." },
  { name: "adaptive", title: "Threshold of twice the map's mean", usedBy: "PySODMetrics, adaptive", score: adaptive,
    does: "Each map is stretched to 0 to 1 and cut at twice its mean, so that a large polyp is cut higher than a small one. Clean frames count as 0." },
];

// The four kinds of pixels if those are marked whose grey value `keep` says.
function countWhere({ polyp, rest }, keep) {
  const counts = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (let grey = 0; grey < GREYS; grey++) {
    counts[keep(grey) ? "tp" : "fn"] += polyp[grey];
    counts[keep(grey) ? "fp" : "tn"] += rest[grey];
  }
  return counts;
}

const atHalf = (frame) => countWhere(frame, (grey) => grey / 255 > 0.5);
const hasPolyp = ({ polyp }) => total(polyp) > 0;
const background = ({ tp, fp, fn, tn }) => ({ tp: tn, fp: fn, fn: fp, tn: tp });

// Dice where the map is at least 0, 1/255, ..., 1; `values` are those of each
// grey value. (A value just below a threshold by a rounding error stays below, as in the referee.)
function curve({ polyp, rest }, values) {
  const [hits, alarms] = [new Float64Array(GREYS), new Float64Array(GREYS)];
  for (let grey = 0; grey < GREYS; grey++) {
    if (!polyp[grey] && !rest[grey]) continue;
    const level = Math.floor(255 * values[grey]);
    hits[level] += polyp[grey];
    alarms[level] += rest[grey];
  }
  const all = total(polyp);
  const found = new Array(GREYS);
  for (let level = GREYS - 1, tp = 0, fp = 0; level >= 0; level--) {
    tp += hits[level];
    fp += alarms[level];
    found[level] = orElse(dice({ tp, fp, fn: all - tp }), 0);
  }
  return found;
}

// The probability of each grey value, and the same with the map's lowest at 0 and its highest at 1.
const plain = () => Array.from({ length: GREYS }, (_, grey) => grey / 255);

function stretched({ polyp, rest }) {
  const used = plain().filter((_, grey) => polyp[grey] || rest[grey]);
  const [low, high] = [used[0], used[used.length - 1]];
  return plain().map((value) => (high > low ? (value - low) / (high - low) : value));
}

const orElse = (value, other) => (Number.isNaN(value) ? other : value);
const total = (values) => values.reduce((all, value) => all + value, 0);
const mean = (values) => total(values) / values.length;
const meanOfDefined = (values) => mean(values.filter((value) => !Number.isNaN(value)));

function sum(list) {
  const all = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (const counts of list) for (const kind in all) all[kind] += counts[kind];
  return all;
}
