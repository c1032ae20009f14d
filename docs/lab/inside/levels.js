// What the four levels answer: masks, their scores in words, and the drawing of one of them.

import { FALSE_ALARM, FOUND, MISSED, showKinds, stage, swatch } from "../page/canvas.js";
import { countPixels, dice, probabilities, shareOf, threshold } from "../network/masks.js";
import { choice, el, percent, score } from "../page/ui.js";
import { wireText } from "./wires.js";

export const countCut = (gates) => gates.filter((gate) => !gate).length;
export const pause = () => new Promise((resolve) => setTimeout(resolve));

// What each level answers: its mask in the picture's size, and its Dice where there is an expert's mask to
// compare with; else the share of the frame that it marks.
export async function scoreAll(levels, { picture, truth }, facts) {
  const answers = [];
  for (const logits of levels) {
    const mask = threshold(probabilities(logits, facts.size, picture.height, picture.width), facts.threshold);
    answers.push({ mask, truth, share: shareOf(mask), dice: truth ? dice(countPixels(mask, truth)) : NaN });
    await pause();
  }
  return answers;
}

// Every third pixel of a picture or a mask: enough for a thumbnail.
export function small({ data, height, width }, channels = 3) {
  const [tall, wide] = [Math.ceil(height / 3), Math.ceil(width / 3)];
  const found = new Uint8Array(tall * wide * channels);
  for (let y = 0; y < tall; y++)
    for (let x = 0; x < wide; x++)
      for (let c = 0; c < channels; c++) found[(y * wide + x) * channels + c] = data[(3 * y * width + 3 * x) * channels + c];
  return { data: found, height: tall, width: wide };
}

export function showAnswer(canvas, picture, { mask, truth }) {
  const shrunk = (data) => small({ ...picture, data }, 1).data;
  showKinds(canvas, small(picture), shrunk(mask), shrunk(truth ?? mask));
}

// The outcome in words, at the level that is shown.
export function report({ answers, whole, level }, { wires }, gates) {
  const [now, before] = [answers[level - 1], whole[level - 1]];
  const cut = countCut(gates);
  const measure = (one) => (one.truth ? score(one.dice) : percent(one.share));
  const what = now.truth ? `the Dice of L${level}` : `the share of the frame that L${level} marks`;
  if (!cut) return `All ${gates.length} wires are joined: ${what} is ${measure(now)}.`;
  const which = cut === 1 ? `${wireText(wires[gates.indexOf(0)])} is cut` : `${cut} of ${gates.length} wires are cut`;
  if (measure(now) === measure(before)) return `${which}: ${what} stays at ${measure(now)}.`;
  const [a, b] = now.truth ? [before.dice, now.dice] : [before.share, now.share];
  return `${which}: ${what} ${b < a ? "falls" : "rises"} from ${measure(before)} to ${measure(now)}.`;
}

// The large mask of one level, and which level it is.
export function answerPanel(facts, onLevel) {
  const canvas = stage("the network's answer on the frame");
  const levels = choice({
    label: "The answer of",
    options: facts.levels.map(({ level }) => [level, `L${level}`]),
    value: facts.depth,
    onPick: onLevel,
  });
  const caption = el("p", { className: "lab-key" });
  return {
    element: el("div", {}, levels.element, canvas, caption),
    show({ opened, answers, level }) {
      levels.set(level);
      if (!answers) return;
      const { mask, truth } = answers[level - 1];
      showKinds(canvas, opened.picture, mask, truth ?? mask);
      canvas.setAttribute("aria-label", `what L${level} marks on the frame: ${opened.title}`);
      caption.replaceChildren(
        swatch(FOUND, truth ? "found" : "marked"),
        ...(truth ? [swatch(FALSE_ALARM, "falsely marked"), swatch(MISSED, "missed")] : []),
      );
    },
  };
}
