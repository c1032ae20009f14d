// Part 4, "Be fooled": the reader bets whether the network will mark anything, and learns whether it warns.

import { outline, showPicture, stage } from "../page/canvas.js";
import { doubt, figures, surprise } from "../network/familiar.js";
import { open } from "../network/frames.js";
import { MADE, openMade, SHAPE } from "./made.js";
import { countPixels, dice, threshold } from "../network/masks.js";
import { decode } from "../network/pixels.js";
import { predict } from "../network/predict.js";
import { button, el, framePicker, latest, percent, score, status, whenNear } from "../page/ui.js";

const NO_WARNING = "No warning: the picture looks like its training frames.";
const LIGHT_BLUE = "#56b4e9"; // the network's outline

export function fooled(place, lab) {
  const offered = offer(lab.frames);
  const canvas = stage("the chosen picture");
  const caption = el("p", { className: "lab-caption" });
  const yes = button("Yes, it will", () => bet(true));
  const no = button("No, it won't", () => bet(false));
  const results = el("div");
  const tally = el("p", { className: "lab-caption" }, "No bet yet.");
  const line = status("Pick a picture, and bet.");
  const answers = new Map(); // frame -> {bet, answer, opened}: who comes back to a picture sees it again
  let chosen = null; // {frame, opened}

  const pick = latest(async (frame) => {
    chosen = null;
    setButtons();
    line.say("Opening the picture …");
    const opened = await openAny(frame, lab);
    chosen = { frame, opened };
    show();
  }, failed);

  // A bet stands: further clicks on the same picture change nothing.
  async function bet(marks) {
    if (!chosen || answers.has(chosen.frame)) return;
    const { frame, opened } = chosen;
    const mine = { bet: marks, answer: null };
    answers.set(frame, mine);
    show();
    try {
      mine.answer = await judge(lab, opened);
    } catch (error) {
      answers.delete(frame); // it may be tried again
      if (chosen?.frame !== frame) return;
      setButtons();
      return line.fail(error);
    }
    const settled = [...answers.values()].filter(({ answer }) => answer);
    const right = settled.filter(({ bet, answer }) => bet === answer.marked > 0).length;
    tally.textContent = `Your bets: ${right} of ${settled.length} right.`;
    if (chosen?.frame === frame) show();
  }

  function show() {
    const { frame, opened } = chosen;
    const mine = answers.get(frame);
    showPicture(canvas, opened.picture);
    canvas.setAttribute("aria-label", opened.title);
    caption.textContent = frame.file ? opened.title : ""; // of other pictures, the picker tells
    results.replaceChildren();
    setButtons();
    if (!mine) return line.say("Your bet?");
    if (!mine.answer) return line.say("The network looks, four times if it sees anything …");
    const { mask, marked } = mine.answer;
    outline(canvas, mask, opened.picture.height, opened.picture.width, { colour: LIGHT_BLUE, dashed: true });
    if (marked) canvas.setAttribute("aria-label", `${opened.title}; what the network marks is outlined`);
    results.append(tabulate(mine.answer, lab.facts), el("p", { className: "lab-lesson" }, lesson(mine.answer, lab.facts)));
    const answer = marked ? `marks ${share(marked)} of the picture` : "leaves it clean";
    line.say(`Your bet was ${mine.bet === marked > 0 ? "right" : "wrong"}: it ${answer}.`);
  }

  // Not `disabled`, which would take the keyboard's focus away.
  function setButtons() {
    const mine = chosen && answers.get(chosen.frame);
    for (const [one, marks] of [[yes, true], [no, false]]) {
      one.setAttribute("aria-disabled", String(!chosen || Boolean(mine)));
      one.setAttribute("aria-pressed", String(mine ? mine.bet === marks : false));
    }
  }

  // A picture that cannot be opened: nothing of the one before stays.
  function failed(error) {
    canvas.width = canvas.height = 1;
    canvas.setAttribute("aria-label", "no picture");
    caption.textContent = "";
    results.replaceChildren();
    line.fail(error);
  }

  const picker = framePicker({ frames: offered, base: lab.base, label: "Pick a picture", onPick: pick });
  place.append(
    picker.element,
    el(
      "div",
      { className: "lab-row" },
      el("div", {}, canvas, caption),
      el(
        "div",
        {},
        el("p", { className: "lab-question" }, "Will it mark a polyp?"),
        el("div", { className: "lab-buttons", role: "group", "aria-label": "Your bet" }, yes, no),
        line.element,
        results,
        tally,
      ),
    ),
  );
  setButtons();
  whenNear(place, () => {
    drawThumbnails(offered, picker.element, lab).catch(() => {}); // pictures to click on; their titles remain
    picker.set(offered[0]);
    pick(offered[0]);
  });
}

// Frames without a polyp, a photograph, and what is made of real frames.
function offer(frames) {
  const empty = (height, width) => // keeps the place of a thumbnail
    `data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"/>`;
  const made = MADE.map((row) => {
    const { height, width, credit } = frames.find(({ name }) => name === row.from) ?? SHAPE;
    return { ...row, credit: credit && `${credit}, changed here`, thumbnail: empty(height, width) };
  });
  return [...frames.filter(({ kind }) => kind === "clean" || kind === "photo"), ...made];
}

async function openAny(frame, { frames, base, facts }) {
  if (frame.make) return openMade(frame, frames, base, facts.size);
  const opened = await open(frame, base, facts.size);
  if (frame.kind === "photo") opened.truth = new Uint8Array(opened.picture.height * opened.picture.width);
  return opened;
}

// The same recipes, on the frames' thumbnails.
async function drawThumbnails(offered, element, { frames, base }) {
  const images = element.querySelectorAll("img");
  for (const [i, { make, from }] of offered.entries()) {
    if (!make) continue;
    const source = frames.find(({ name }) => name === from);
    const canvas = el("canvas");
    showPicture(canvas, make(source ? await decode(new URL(source.thumbnail, base).href) : { height: 96, width: 113 }));
    images[i].src = canvas.toDataURL();
  }
}

// What the network says of a picture, and what the figures of light and colour do.
async function judge(lab, opened) {
  const { facts } = lab;
  const { mask, probs } = await predict(lab, opened);
  const of = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    mask,
    marked: of(mask),
    atFirst: of(threshold(probs, facts.threshold)), // before the second look
    highest: probs.reduce((most, value) => Math.max(most, value), 0),
    warning: doubt(opened.original, opened.pixels, facts.size, facts.familiar),
    surprise: surprise(figures(opened.pixels, ...facts.size), facts.familiar),
    polyp: opened.truth && of(opened.truth), // null: nobody knows
    dice: opened.truth && dice(countPixels(mask, opened.truth)),
  };
}

function tabulate({ marked, highest, warning, surprise: nats }, { familiar }) {
  const row = (name, data, text) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { "data-figure": data }, text));
  return el(
    "div",
    {},
    el(
      "table",
      { className: "lab-numbers" },
      row("The network marks", marked, marked ? `${share(marked)} of the picture` : "nothing"),
      row("Highest probability", highest, probability(highest)),
      row("How unusual it is, in nats", nats, `${nats.toFixed(0)} (warning above ${familiar.limit.toFixed(0)})`),
    ),
    el("p", { className: warning ? "lab-warning" : "lab-calm" }, warning ? `Warning: ${warning}.` : NO_WARNING),
  );
}

// One sentence or two, of this picture's own numbers.
function lesson(answer, { min_peak: sure }) {
  const { marked, atFirst } = answer;
  if (marked || !atFirst) return verdict(answer);
  const looks = `At first it marked ${share(atFirst)}, but in four looks it was nowhere surer than ${probability(sure)},`;
  return `${verdict(answer)} ${looks} so nothing is shown.`;
}

function verdict({ marked, highest, warning, polyp, dice: agreed }) {
  if (polyp === null)
    return `Nobody has outlined this picture: whether ${marked ? "the mark is right" : "it is clean"}, only you can tell.`;
  if (polyp && marked) {
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

const share = (value) => (value < 0.1 ? `${(100 * value).toFixed(1)} %` : percent(value));

function probability(value) {
  if (value > 0.9999) return "above 0.9999";
  if (value < 0.0001) return "below 0.0001";
  return value.toFixed(value > 0.99 || value < 0.01 ? 4 : 2);
}
