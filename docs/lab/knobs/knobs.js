// Turn the knobs: the threshold, the network's level and mirrorings, and what may happen to a frame; the map,
// the mask and its scores follow.
//
// The threshold only draws the map that is there anew; every other knob makes the network look again.

import { SCORES, sweep } from "./curve.js";
import { open } from "../network/frames.js";
import { angle, controls } from "./controls.js";
import { figure, views } from "./views.js";
import { countPixels, mean, probabilities, shareOf, threshold } from "../network/masks.js";
import { resizePicture } from "../network/pixels.js";
import { turnMask } from "./spoil.js";
import { framePicker, latest, status, whenNear } from "../page/ui.js";

const FIRST = "large"; // the frame to begin with: most knobs change its score

export function knobs(place, { network, facts, frames, base }) {
  const offered = frames.filter((frame) => frame.kind === "real" || frame.kind === "synthetic");
  const line = status();
  const board = controls(facts, { onThreshold: redraw, onOther: look });
  const view = views(facts);
  const picker = framePicker({ frames: offered, base, onPick: pick });
  place.append(picker.element, board.element, line.element, view.element);

  let wanted = null; // the frame that is picked
  let opened = null; // {frame, picture, pixels, truth, title}: the last one that could be read
  let seen = null; // what the network said last: {settings, probs, truth, rows, ...}
  let shown = null; // {settings, scores}: what the page shows,
  let before = null; // and what it showed before the knob that moved last was touched

  let tried = null; // {frame, settings}: what the network was last asked about

  const run = latest(work, goBack);
  whenNear(place, () => {
    const first = offered.find((frame) => frame.name === FIRST) ?? offered[0];
    picker.set(first);
    pick(first);
  });

  function pick(frame) {
    wanted = frame;
    look();
  }

  function look() {
    if (!wanted) return; // a knob is turned before there is a frame
    place.dataset.busy = "true";
    line.say("The network computes …");
    run();
  }

  // Reads frame and knobs as they stand when it begins; what is changed later makes `latest` run it again.
  async function work() {
    place.dataset.busy = "true";
    const settings = board.settings();
    const frame = wanted;
    tried = { frame, settings };
    if (opened?.frame !== frame) opened = { frame, ...(await open(frame, base, facts.size)) };
    const { picture, pixels, truth } = opened;
    const shape = [picture.height, picture.width];
    const spoilt = await network.spoil(pixels, shape, settings);
    const asked = ask(spoilt, settings);
    const [height, width] = facts.size;
    // While the network, on its own thread, computes:
    const large = resizePicture({ data: spoilt, height, width }, ...shape);
    const turned = truth && turnMask(truth, ...shape, settings.rotation);
    const { maps, milliseconds } = await asked;
    board.tell(settings.level, milliseconds / maps.length);
    const probs = mean(maps.map((logits) => probabilities(logits, facts.size, ...shape)));
    if (seen?.frame !== frame) shown = before = null; // scores of two frames are not compared
    seen = { frame, settings, picture: large, probs, truth: turned, rows: turned && sweep(probs, turned) };
    // For tests and for the curious (the console's $0 is the selected element): what the network saw, its logits,
    // one array for each look, the probabilities and the expert's mask, both of the picture's size.
    Object.assign(place, { labPixels: spoilt, labLogits: maps, labProbs: probs, labTruth: turned });
    view.showLook(seen);
    // If a knob was turned meanwhile, it is still busy: `latest` is about to run it again.
    if (!changedSince()) place.dataset.busy = "false";
    redraw();
  }

  const changedSince = () => wanted !== tried.frame || !same(board.settings(), tried.settings);

  // After a failure, such as a file that is no picture, frame and knobs return to what the page still shows.
  function goBack(error) {
    place.dataset.busy = "false";
    line.fail(error);
    if (!seen || changedSince()) return; // what came meanwhile is about to be tried
    wanted = seen.frame;
    picker.set(wanted);
    board.set({ ...seen.settings, threshold: board.settings().threshold });
  }

  async function ask(pixels, { level, mirrored }) {
    if (mirrored) return network.lookFourTimes(pixels, level);
    const { logits, milliseconds } = await network.look(pixels, level);
    return { maps: [logits], milliseconds };
  }

  // The mask and all that follows from it, for the map that is there.
  function redraw() {
    if (!seen) return;
    const settings = { ...seen.settings, threshold: board.settings().threshold };
    const mask = threshold(seen.probs, settings.threshold);
    const now = { settings, scores: rate(mask, seen.truth) };
    follow(now);
    view.showMask(seen, mask, now, before);
    if (place.dataset.busy !== "true") line.say(sentence(before, now, board.rest));
  }

  // A knob that moves on is compared with where it was when it was taken, not with its last step.
  function follow(now) {
    const step = shown ? differences(shown, now) : [];
    if (step.length) {
      const goesOn = before && String(step) === String(differences(before, shown));
      if (!goesOn || !differences(before, now).length) before = shown;
    }
    shown = now;
  }
}

// Whether two settings are the same for the network.
const same = (a, b) => Object.keys(a).every((name) => name === "threshold" || a[name] === b[name]);

// The knobs that differ.
const differences = (a, b) => Object.keys(a.settings).filter((name) => a.settings[name] !== b.settings[name]);

// Scores of a mask by the names of the columns; without a truth only the share.
function rate(mask, truth) {
  const share = { "share marked": shareOf(mask) };
  if (!truth) return share;
  const counts = countPixels(mask, truth);
  return { ...Object.fromEntries(Object.entries(SCORES).map(([name, of]) => [name, of(counts)])), ...share };
}

// What the sentence calls a knob that has moved to `value`.
const WORDS = {
  threshold: (value) => `threshold ${value.toFixed(2)}`,
  level: (value) => `level L${value}`,
  mirrored: (value) => (value ? "four mirrorings averaged" : "one look"),
  brightness: (value) => `brightness ${value.toFixed(2)} times`,
  blur: (value) => (value ? `blur of ${value.toFixed(1)} px` : "no blur"),
  rotation: (value) => (value ? `turned ${angle(value)}` : "not turned"),
  edge: (value) => (value === "black" ? "black beyond the edge" : "edge repeated"),
  bgr: (value) => (value ? "BGR instead of RGB" : "RGB again"),
};

// "BGR instead of RGB: Dice 0.96 → 0.45."
function sentence(before, now, rest) {
  const name = "Dice" in now.scores ? "Dice" : "share marked";
  const after = figure(name, now.scores[name]);
  const moved = before ? differences(before, now) : [];
  if (!moved.length) return `This picture: ${name} ${after}.`;
  const resting = Object.keys(rest).every((knob) => rest[knob] === now.settings[knob]);
  const words = resting && moved.length > 1 ? "all knobs at rest" : moved.map((knob) => WORDS[knob](now.settings[knob])).join(", ");
  return `${words[0].toUpperCase()}${words.slice(1)}: ${name} ${figure(name, before.scores[name])} → ${after}.`;
}
