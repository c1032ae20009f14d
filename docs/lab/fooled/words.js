// What the page says of a bet that is settled. An answer is what `judge` of fooled.js returns.

import { percent, score } from "../page/ui.js";

// One sentence or two, of this picture's own numbers.
export function lesson(answer, { min_peak: sure }) {
  const { marked, atFirst } = answer;
  if (marked || !atFirst) return verdict(answer);
  const looks =
    `At first it marked ${share(atFirst)}, but on average over four looks ` +
    `it is nowhere above ${probability(sure)}, which a mark needs`;
  return `${verdict(answer)} ${looks}.`;
}

function verdict({ marked, highest, warning, polyp, dice: agreed }) {
  if (polyp === null)
    return `Nobody has outlined this picture: whether ${marked ? "the mark is right" : "it is clean"}, only you can tell.`;
  if (polyp && marked) {
    if (!agreed) return "There is a polyp, but the mark lies elsewhere.";
    const agrees = `There is a polyp, and the mark agrees with the expert's to a Dice of ${score(agreed)}`;
    return warning ? `${agrees}: the warning speaks of the picture, not of the mask.` : `${agrees}, though the frame was changed.`;
  }
  if (polyp) {
    const missed = `A polyp of ${share(polyp)} of the picture is missed`;
    return warning
      ? `${missed}; here at least you are warned.`
      : `${missed}, and nothing warns you: "left clean" is no proof that there is none.`;
  }
  if (marked)
    return warning
      ? `There is no polyp, and yet a probability of ${probability(highest)}: it says nothing of pictures unlike those learnt from.`
      : `There is no polyp, yet a probability of ${probability(highest)}, and nothing warns you: a familiar picture can be misread, too.`;
  return warning
    ? "There is no polyp, and it marks none; you are warned all the same, for what is judged is the picture."
    : "There is no polyp, it marks none, and the picture is familiar: all is well.";
}

export const share = (value) => (value < 0.1 ? `${(100 * value).toFixed(1)} %` : percent(value));

export function probability(value) {
  if (value > 0.9999) return "above 0.9999";
  if (value < 0.0001) return "below 0.0001";
  return value.toFixed(value > 0.99 || value < 0.01 ? 4 : 2);
}
