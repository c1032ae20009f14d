// One sentence on an answer, made of what was counted.

import { countPixels, dice, labelRegions, precision } from "../network/masks.js";

const MUCH = 1.5; // times as many pixels: clearly more
const INSIDE = 0.9; // of what is marked lies in the expert's outline: the mask is tight
const ALIKE = 0.02; // Dice that differ less are nearly the same

// The four counts of a mask, and how many of the expert's regions it touches: {tp, fp, fn, tn, regions, touched}.
export function compared(mask, truth, height, width) {
  const { labels, count } = labelRegions(truth, height, width);
  const touched = new Set(labels.filter((label, i) => label && mask[i])).size;
  return { ...countPixels(mask, truth), regions: count, touched };
}

// `all` holds what `compared` gives for the reader, if `guessed`, and for the network.
export function remark(all, guessed) {
  const network = `network ${found("it", "its", all.at(-1))}`;
  if (!guessed) return `The ${network}.`;
  const words = `You ${found("you", "your", all[0])}; the ${network}.`;
  const alike = Math.abs(dice(all[0]) - dice(all[1])) < ALIKE;
  return alike ? `${words} The two Dice are nearly the same: compare where the colours lie.` : words;
}

function found(who, whose, counts) {
  const { tp, fp, fn, regions, touched } = counts;
  if (!tp && !fp) return "marked nothing";
  if (!tp) return "marked another place: no pixel in common with the expert";
  if (!fp && !fn) return "marked the expert's pixels, every one";
  if (touched < regions) return `missed ${regions - touched} of the expert's ${regions} regions altogether`;
  if (fp > MUCH * fn) return `marked more wrongly than ${who} missed: ${whose} mask is larger than the expert's`;
  if (fn <= MUCH * fp)
    return (
      `missed about as much as ${who} marked wrongly: ` +
      `${whose} mask has about the expert's size, but not quite the place or shape`
    );
  const how = precision(counts) > INSIDE ? "tighter than the expert's" : "smaller than the expert's, and partly beside it";
  return `missed more than ${who} marked wrongly: ${whose} mask is ${how}`;
}
