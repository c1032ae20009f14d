// Look inside: the grid with what each node sees, wires to cut, a node's feature maps, and its receptive field.
//
// The network runs when a frame is chosen or a wire is cut or joined, never on hovering. Of its answer the part
// keeps the four masks and the strongest channels of each node, some ten megabytes, so that a click on a node
// needs no new run.
//
// For tests, `place` has labLogits (of all levels, L1 first), labGates, labMaps (the chosen node's shown channels,
// [{number, strength, values}]) and labField (what the pointed value depends on); `place.ariaBusy` is "true" while
// the network runs.

import { addressOf, showMap, showPicture } from "../page/canvas.js";
import { answerPanel, countCut, pause, report, scoreAll, showAnswer, small } from "./levels.js";
import { open } from "../network/frames.js";
import { grid } from "./grid.js";
import { meanOfChannels, normalise, strongest } from "./maps.js";
import { nodePanel } from "./nodepanel.js";
import { button, el, framePicker, latest, percent, score, status, whenNear } from "../page/ui.js";
import { wireKey, wirePanel } from "./wirelist.js";
import { key, PRESETS, reached, readsText, wireText } from "./wires.js";

const KEYS =
  "Point at a node to see what it reads, click it to look inside; click a wire to cut it. With the keyboard: Tab to the grid, arrow keys from node to node, Enter to look inside; the node's wires are switches beside the grid.";
const FIRST_NODE = "1_1"; // its receptive field is large, and does not yet cover the frame

export function inside(place, lab) {
  const { network, facts, frames, base } = lab;
  const offered = frames.filter(({ kind }) => kind === "real" || kind === "synthetic");
  const names = facts.nodes.map(({ i, j }) => key([i, j]));
  const state = {
    wanted: offered[0], // the frame to show; `frame` and all below belong to what is shown
    gates: network.openGates(),
    caution: "", // what to keep in mind of these gates
    chosen: FIRST_NODE,
    channel: 0, // its place in the list of maps
    level: facts.depth,
    frame: null,
    opened: null,
    whole: null, // the levels' answers on this frame with all wires joined
    answers: null, // and with the gates as they were: [{mask, truth, share, dice}], L1 first
    nodes: {}, // by their keys: {channels, height, width, maps, thumbnail}
  };

  const line = status("The network looks at this frame once you are here.");
  const looking = el("p", { className: "lab-caption lab-looking-at" });
  const picker = framePicker({ frames: offered, base, onPick: (frame) => ((state.wanted = frame), run()) });
  const drawing = grid(facts, { onNode: chooseNode, onWire: flip, onLevel: chooseLevel, onLook: tell });
  const answer = answerPanel(facts, chooseLevel);
  const wires = wirePanel(facts, flip, drawing.emphasise);
  const panel = nodePanel(facts, state, (k) => ((state.channel = k), showNode()));
  const presets = PRESETS.map(([label, isCut, caution]) =>
    button(label, () => setGates(facts.wires.map((wire) => (isCut(wire, facts.depth) ? 0 : 1)), caution)),
  );

  place.append(
    picker.element,
    el(
      "div",
      { className: "lab-inside" },
      el("div", {}, drawing.element, wireKey(), looking, el("p", { className: "lab-caption" }, KEYS)),
      el("div", {}, answer.element, line.element, el("div", { className: "lab-buttons" }, ...presets), wires.element),
    ),
    el(
      "p",
      { className: "lab-caption" },
      "Each picture in the grid is the mean of a node's channels, from its smallest value (dark) to its largest (bright). ",
      "The network was trained with all of its wires: cutting them, down to those of a U-Net, shows what it relies on, not how good a network would be that was trained without them.",
    ),
    panel.element,
  );

  const run = latest(look, (error) => line.fail(error));
  drawing.choose(state.chosen);
  wires.show(state.chosen, state.gates);
  showGates();
  picker.set(state.wanted);
  whenNear(place, run);

  function setGates(values, caution = "") {
    Object.assign(state, { gates: Float32Array.from(values), caution });
    showGates();
    run();
  }

  function flip(number) {
    setGates(state.gates.map((gate, n) => (n === number ? 1 - gate : gate)));
  }

  function showGates() {
    drawing.setGates(state.gates, reached(facts.wires, state.gates));
    wires.set(state.gates);
    tell({});
  }

  // Run the network on the wanted frame with the gates as they are now; what is shown changes once all is there.
  async function look() {
    place.ariaBusy = "true";
    try {
      const { caution } = state;
      const gates = state.gates.slice();
      const cut = countCut(gates);
      line.say(cut ? `The network runs with ${cut} of its ${gates.length} wires cut …` : "The network runs …");
      const frame = state.wanted;
      const opened = frame === state.frame ? state.opened : await openFrame(frame);
      const found = await network.inside(opened.pixels, gates, names);
      const answers = await scoreAll(found.levels, opened, facts);
      let whole = cut ? frame === state.frame && state.whole : answers;
      whole ||= await scoreAll((await network.inside(opened.pixels)).levels, opened, facts);
      const nodes = await keepStrongest(found.nodes);
      Object.assign(state, { frame, opened, answers, whole, nodes });
      Object.assign(place, { labLogits: found.levels, labGates: gates });
      show();
      line.say(`${report(state, facts, gates)} ${caution} (${(found.milliseconds / 1000).toFixed(1)}\u00a0s)`);
    } finally {
      place.ariaBusy = "false";
    }
  }

  async function openFrame(frame) {
    try {
      return await open(frame, base, facts.size);
    } catch (error) {
      if (state.wanted === frame) picker.set((state.wanted = state.frame ?? offered[0])); // go on with what is there
      throw error;
    }
  }

  // What is shown of each node; its other channels are let go.
  async function keepStrongest(nodes) {
    const kept = {};
    for (const name of names) {
      const { channels, height, width } = nodes[name];
      const mean = normalise(meanOfChannels(nodes[name]));
      const thumbnail = addressOf((canvas) => showMap(canvas, mean, height, width));
      kept[name] = { channels, height, width, thumbnail, maps: strongest(nodes[name]) };
      delete nodes[name];
      await pause(); // the page can scroll meanwhile
    }
    const number = state.nodes[state.chosen]?.maps[state.channel].number;
    state.channel = Math.max(0, kept[state.chosen].maps.findIndex((map) => map.number === number));
    return kept;
  }

  function show() {
    const { picture } = state.opened;
    for (const name of names) drawing.setThumbnail(name, state.nodes[name].thumbnail);
    drawing.setHead(0, addressOf((canvas) => showPicture(canvas, small(picture))), "frame", "the frame");
    state.answers.forEach((one, index) => {
      const text = `L${index + 1} ${one.truth ? score(one.dice) : percent(one.share)}`;
      const words = one.truth ? `L${index + 1}: Dice ${score(one.dice)}` : `L${index + 1}: marks ${percent(one.share)} of the frame`;
      drawing.setHead(index + 1, addressOf((canvas) => showAnswer(canvas, picture, one)), text, words);
    });
    chooseLevel(state.level);
    showNode();
  }

  function chooseLevel(level) {
    state.level = level;
    drawing.setLevel(level);
    answer.show(state);
    if (state.answers && place.ariaBusy !== "true") line.say(report(state, facts, place.labGates));
  }

  function chooseNode(node) {
    state.chosen = node;
    state.channel = 0;
    drawing.choose(node);
    wires.show(node, state.gates);
    tell({});
    showNode();
  }

  function showNode() {
    if (!state.nodes[state.chosen]) return;
    place.labMaps = state.nodes[state.chosen].maps;
    panel.show(place.labGates, (found) => (place.labField = found));
  }

  function tell({ node, wire }) {
    if (wire === undefined) looking.textContent = readsText(facts.wires, state.gates, node ?? state.chosen);
    else looking.textContent = `${wireText(facts.wires[wire])}: ${state.gates[wire] ? "joined; click to cut it." : "cut; click to join it."}`;
  }
}
