// What the shipped network marks in a picture: `polyp.load().predict(...)`, look by look.

import { mean, probabilities, shownRegions } from "./masks.js";
import { mirror } from "./pixels.js";

const MIRRORED = [[true, false], [false, true], [true, true]]; // across, down

// `opened` is what `open` of frames.js gives, or anything with `pixels` (what the network sees) and `picture`.
// Returns {mask, probs, evidence, milliseconds}, maps of the picture's size: `probs` are those of the first look;
// `evidence`, the mean of four, judges its regions, and is null where the first look marks nothing. Once `wanted()` is
// false, because the reader has gone on, the remaining looks are spared and the answer is null.
export async function predict({ network, facts }, { pixels, picture }, wanted = () => true) {
  const { height, width } = picture;
  let milliseconds = 0;
  const look = async ([across, down]) => {
    const answer = await network.look(mirror(pixels, ...facts.size, 3, across, down));
    milliseconds += answer.milliseconds;
    return probabilities(mirror(answer.logits, ...facts.size, 1, across, down), facts.size, height, width);
  };
  const probs = await look([false, false]);
  const shown = (judged) => shownRegions(probs, height, width, facts.threshold, facts.min_peak, judged);
  if (!facts.second_look || !probs.some((value) => value > facts.threshold))
    return { mask: shown(probs), probs, evidence: null, milliseconds };
  const others = [];
  for (const way of MIRRORED) {
    if (!wanted()) return null;
    others.push(await look(way));
  }
  const evidence = mean([probs, ...others]);
  return { mask: shown(evidence), probs, evidence, milliseconds };
}
