// What is shown once the reader has guessed: masks in the four kinds of pixels, their counts, and a remark.

import { FALSE_ALARM, FOUND, MISSED, showKinds, stage, swatch } from "../page/canvas.js";
import { countPixels, dice } from "../network/masks.js";
import { compared, remark } from "./teach.js";
import { el, score } from "../page/ui.js";

const KINDS = { tp: "found", fp: "falsely marked", fn: "missed" };
// A picture of one's own has no expert: what the network marks takes the truth's place.
const OWN_KINDS = { tp: "marked by both", fp: "by you alone", fn: "by the network alone" };
const COLOURS = { tp: FOUND, fp: FALSE_ALARM, fn: MISSED };

// The reader's mask, or null, and the network's side by side, each against the expert's.
export function againstExpert(picture, truth, yours, network) {
  const masks = yours ? [yours, network] : [network];
  const who = yours ? ["You", "The network"] : ["The network"];
  const whose = yours ? ["Your", "The network's"] : ["The network's"];
  const counts = masks.map((mask) => countPixels(mask, truth));
  const views = masks.map((mask, i) => view(picture, mask, truth, `${whose[i]} Dice: ${score(dice(counts[i]))}`));
  const words = remark(masks.map((mask) => compared(mask, truth, picture.height, picture.width)), Boolean(yours));
  return [row(...views), key(KINDS), table(who, counts, KINDS), paragraph("lab-remark", words)];
}

// A picture of the reader's own: the two masks against each other. `unlike` is the network's doubt, or empty.
export function againstEachOther(picture, yours, network, unlike) {
  const doubts = unlike ? [paragraph("lab-doubt", `A doubt about this picture: ${unlike}.`)] : [];
  if (!yours) {
    const marks = network.includes(1) ? "what is white here" : "nothing in this picture";
    const alone = view(picture, network, network, `The network marks ${marks}.`);
    return [row(alone), paragraph("lab-remark", "No expert has outlined it."), ...doubts];
  }
  const counts = countPixels(yours, network);
  const words =
    `No expert has outlined this picture. The Dice between your outline and the network's is ${score(dice(counts))}: ` +
    "how far the two of you agree, not who is right.";
  const both = view(picture, yours, network, "Your outline and the network's");
  return [row(both), key(OWN_KINDS), table(["pixels"], [counts], OWN_KINDS), paragraph("lab-remark", words), ...doubts];
}

const row = (...children) => el("div", { className: "lab-row" }, ...children);
const paragraph = (className, words) => el("p", { className }, words);

function view(picture, mask, truth, caption) {
  const canvas = stage(`The picture with marked pixels in colours. ${caption}`);
  showKinds(canvas, picture, mask, truth);
  return el("figure", { className: "lab-figure" }, canvas, el("figcaption", { className: "lab-caption" }, caption));
}

function key(kinds) {
  const swatches = Object.entries(kinds).map(([kind, name]) => swatch(COLOURS[kind], name));
  return el("div", { className: "lab-key" }, ...swatches, el("span", { className: "lab-dim" }, "neither"));
}

// Dice, and how many pixels are of each kind; a column for each of `counts`.
function table(heads, counts, kinds) {
  const line = (name, values) =>
    el("tr", {}, el("th", { scope: "row" }, name), ...values.map((value) => el("td", {}, value)));
  const pixels = ([kind, name]) => line(`${name}, pixels`, counts.map((one) => one[kind].toLocaleString("en")));
  const head = el("tr", {}, el("td"), ...heads.map((name) => el("th", { scope: "col" }, name)));
  const body = [line("Dice", counts.map((one) => score(dice(one)))), ...Object.entries(kinds).map(pixels)];
  return el("table", { className: "lab-numbers" }, el("thead", {}, head), el("tbody", {}, ...body));
}
