// Find the polyp: the reader guesses first, then sees the expert's mask and the network's.

import { againstEachOther, againstExpert } from "./answer.js";
import { drawingSurface, HOW_TO } from "./drawing.js";
import { doubt } from "../network/familiar.js";
import { open } from "../network/frames.js";
import { countPixels, dice } from "../network/masks.js";
import { predict } from "../network/predict.js";
import { button, el, framePicker, latest, score, status, whenNear } from "../page/ui.js";

export function find(place, lab) {
  let turn = null; // {frame, opened, network: its mask or null, wanted: null, "guess" or "look"}
  let opening = null; // {frame, wanted}: the pick that is being decoded
  const known = new WeakMap(); // by frame: the network's mask, so that who comes back need not wait
  const guesses = new Record();

  const frames = ["real", "synthetic"].flatMap((kind) => lab.frames.filter((frame) => frame.kind === kind));
  const picker = framePicker({ frames, base: lab.base, onPick: pick });
  const line = status();
  const surface = drawingSurface({
    label: "The frame, to draw outlines on",
    describedBy: "lab-find-keys",
    onChange: (words) => {
      hide();
      line.say(words);
    },
    onNothing: line.say,
  });
  const caption = el("figcaption", { className: "lab-caption" });
  const result = el("div", { className: "lab-result", hidden: true });
  const desk = el("figure", { className: "lab-figure lab-desk" }, surface.element, caption);
  const howTo = el("p", { className: "lab-caption", id: "lab-find-keys" }, HOW_TO);
  const buttons = el(
    "div",
    { className: "lab-buttons" },
    button("Undo", surface.undo),
    button("Clear", surface.clear),
    button("Show the answer", () => reveal("guess"), { className: "lab-button lab-main" }),
    button("Just show me", () => reveal("look")),
  );
  const side = el("div", {}, howTo, buttons, line.element, guesses.element);
  place.append(picker.element, el("div", { className: "lab-row" }, desk, side), result);

  function hide() {
    result.hidden = true;
    if (turn) turn.wanted = null;
  }

  function pick(frame) {
    hide();
    delete place.dataset.ready;
    opening = { frame, wanted: null };
    line.say("Opening the picture …");
    begin(opening);
  }

  const begin = latest(async (which) => {
    const { frame } = which;
    let opened;
    try {
      opened = await open(frame, lab.base, lab.facts.size);
    } catch (error) {
      if (which === opening) giveUp(error);
      return;
    }
    if (which !== opening) return; // a later click counts
    opening = null;
    turn = { frame, opened, network: known.get(frame) ?? null, wanted: null };
    surface.show(opened.picture);
    caption.textContent = frame.file ? opened.title : ""; // of other frames, the picker tells
    line.say("Draw your outline; the network looks meanwhile.");
    look(turn);
    if (which.wanted) reveal(which.wanted);
  }, line.fail);

  // What could not be opened changes nothing: the picture before it stays.
  function giveUp(error) {
    opening = null;
    picker.set(turn?.frame ?? null);
    if (turn?.network) place.dataset.ready = nameOf(turn);
    line.fail(error);
  }

  const nameOf = ({ frame, opened }) => frame.name ?? opened.title;

  // In the background, so that the answer is there when the reader has drawn.
  const look = latest(async (which) => {
    const wanted = () => which === turn; // until the reader goes on to another frame
    if (!wanted()) return;
    which.network ??= (await predict(lab, which.opened, wanted))?.mask;
    if (!wanted()) return;
    known.set(which.frame, which.network);
    if (!opening) place.dataset.ready = nameOf(which);
    if (which.wanted) reveal(which.wanted);
  }, line.fail);

  function reveal(wanted) {
    if (opening) {
      opening.wanted = wanted; // once it is there
      return;
    }
    if (!turn) return line.say("Pick a picture first.");
    const yours = wanted === "guess" ? surface.mask() : null;
    if (yours && !yours.includes(1)) return line.say("Draw an outline first, or press “Just show me”.");
    turn.wanted = wanted;
    if (turn.network) return show(turn, yours);
    line.say("The network is still looking …");
    look(turn); // once more, if it failed
  }

  function show({ frame, opened, network }, yours) {
    const { picture, truth, original, pixels } = opened;
    if (truth) {
      const [own, its] = [yours, network].map((mask) => mask && dice(countPixels(mask, truth)));
      guesses.keep(frame.name, yours && { own, its });
      result.replaceChildren(...againstExpert(picture, truth, yours, network));
      line.say(`${yours ? `Your Dice is ${score(own)}, the network's` : "The network's Dice is"} ${score(its)}.`);
    } else {
      const unlike = doubt(original, pixels, lab.facts.size, lab.facts.familiar);
      result.replaceChildren(...againstEachOther(picture, yours, network, unlike));
      line.say("Here is what the network marks.");
    }
    result.hidden = false;
    result.scrollIntoView({ block: "nearest" });
    Object.assign(place, { labMask: yours, labNetworkMask: network, labTruth: truth }); // for tests and the curious
  }

  whenNear(place, () => {
    if (turn || opening) return;
    picker.set(frames[0]);
    pick(frames[0]);
  });
}

// The first guesses at each frame, in words. Who has seen the answer does not guess any more.
class Record {
  first = new Map(); // by the frame's name: {own, its}, two Dice, or null
  element = el("p", { className: "lab-record" });

  keep(name, guess) {
    if (!this.first.has(name)) this.first.set(name, guess);
    const guesses = [...this.first.values()].filter(Boolean);
    if (!guesses.length) return;
    const mean = (who) => score(guesses.reduce((sum, one) => sum + one[who], 0) / guesses.length);
    const frames = guesses.length === 1 ? "1 frame" : `${guesses.length} frames`;
    this.element.textContent =
      `You: mean Dice ${mean("own")} over ${frames}; the network on the same: ${mean("its")}. ` + "Only first guesses count.";
  }
}
