// Part 4, "Be fooled": the reader bets whether the network will mark anything, and learns whether it warns.

import { addressOf, outline, showPicture, stage } from "../page/canvas.js";
import { doubt, figures, surprise } from "../network/familiar.js";
import { open } from "../network/frames.js";
import { MADE, openMade, SHAPE } from "./made.js";
import { countPixels, dice, shareOf, threshold } from "../network/masks.js";
import { decode } from "../network/pixels.js";
import { predict } from "../network/predict.js";
import { button, el, framePicker, latest, status, whenNear } from "../page/ui.js";
import { lesson, probability, share } from "./words.js";

const NO_WARNING = "No warning: the picture looks like its training frames.";

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
    outline(canvas, mask, opened.picture.height, opened.picture.width, { ofNetwork: true });
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
      el("div", { className: "lab-shown" }, canvas, caption),
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
    const small = source ? await decode(new URL(source.thumbnail, base).href) : { height: 96, width: 113 };
    images[i].src = addressOf((canvas) => showPicture(canvas, make(small)));
  }
}

// What the network says of a picture, and what the figures of light and colour do.
async function judge(lab, opened) {
  const { facts } = lab;
  const { mask, probs } = await predict(lab, opened);
  return {
    mask,
    marked: shareOf(mask),
    atFirst: shareOf(threshold(probs, facts.threshold)), // before the second look
    highest: probs.reduce((most, value) => Math.max(most, value), 0),
    warning: doubt(opened.original, opened.pixels, facts.size, facts.familiar),
    surprise: surprise(figures(opened.pixels, ...facts.size), facts.familiar),
    polyp: opened.truth && shareOf(opened.truth), // null: nobody knows
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
      row("How unusual the picture is", nats, `${nats.toFixed(0)} (warning above ${familiar.limit.toFixed(0)})`),
    ),
    el("p", { className: warning ? "lab-warning" : "lab-calm" }, warning ? `Warning: ${warning}.` : NO_WARNING),
  );
}
