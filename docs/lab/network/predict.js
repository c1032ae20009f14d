// What the shipped network marks in a picture: `polyp.load().predict(...)`, look by look.

import { mean, probabilities, shownRegions } from "./masks.js";
import { MIRRORINGS } from "./network.js";

// `opened` is what `open` of frames.js gives, or anything with `pixels` (what the network sees) and `picture`.
// Returns {mask, probs}, maps of the picture's size: `probs` are those of the first look, whose regions are judged by
// the mean of four looks. Once `wanted()` is false, because the reader has gone on, the remaining looks are spared
// and the answer is null.
export async function predict({ network, facts }, { pixels, picture }, wanted = () => true) {
  const { height, width } = picture;
  const look = async (mirroring) => {
    const { logits } = await network.lookMirrored(pixels, mirroring);
    return probabilities(logits, facts.size, height, width);
  };
  const [plain, ...mirrored] = MIRRORINGS;
  const probs = await look(plain);
  if (!facts.second_look || !probs.some((value) => value > facts.threshold))
    return { mask: shownRegions(probs, height, width, facts), probs };
  const looks = [probs];
  for (const mirroring of mirrored) {
    if (!wanted()) return null;
    looks.push(await look(mirroring));
  }
  return { mask: shownRegions(probs, height, width, facts, mean(looks)), probs };
}
