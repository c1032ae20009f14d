// What "Turn the knobs" shows: three pictures, the table of scores and their curves.

import { FALSE_ALARM, FOUND, heat, MISSED, outline, showKinds, showMap, showPicture, stage, swatch } from "../page/canvas.js";
import { curvePlot, SCORES } from "./curve.js";
import { el, score } from "../page/ui.js";

const OUTLINES = "White: the expert's outline; light blue, dashed: the network's.";
const NO_TRUTH = "No expert has outlined this picture, so there is nothing to score the mask against.";
const PLAIN =
  "The mask is the plain threshold: every pixel of a higher probability. The rule that comes with the network also " +
  "leaves out whole regions";

// {element, showLook(seen), showMask(seen, mask, now, before)}; `seen`, `now` and `before` are those of knobs.js.
export function views(facts) {
  const [height, width] = facts.size;
  const frame = stage("The frame as the network sees it, with the outlines of the expert and the network");
  const map = stage("The network's probability map");
  const kinds = stage("The four kinds of pixels");
  const kindsCaption = el("p", { className: "lab-caption" });
  const key = kindsKey();
  const table = scoreTable();
  const plot = curvePlot();
  const truthless = el("p", { className: "lab-caption", hidden: true }, NO_TRUTH);
  const peak = Math.round(100 * facts.min_peak);
  const panel = (canvas, ...below) => el("div", {}, canvas, ...below);
  const caption = (text) => el("p", { className: "lab-caption" }, text);
  const element = el(
    "div",
    {},
    el(
      "div",
      { className: "lab-row lab-knob-views" },
      panel(frame, caption(`What the network sees: ${width} x ${height} pixels, drawn in the frame's shape. ${OUTLINES}`)),
      panel(map, mapKey(), caption("The probability of polyp in each pixel.")),
      panel(kinds, key, kindsCaption),
    ),
    caption(`${PLAIN} in which no pixel, on average over four mirrorings, gets above ${peak} %.`),
    truthless,
    el("div", { className: "lab-row lab-knob-scores" }, table.element, plot.element),
  );

  let painting = 0;
  return {
    element,
    showLook(seen) {
      showMap(map, seen.probs, seen.picture.height, seen.picture.width);
      for (const part of [plot.element, key]) part.hidden = !seen.truth;
      truthless.hidden = Boolean(seen.truth);
      kindsCaption.textContent = seen.truth ? "The four kinds of pixels: dark is what neither marks." : "Bright: what the network marks.";
    },
    // Figures at once, pictures with the screen's next frame: a slider sends more steps than a screen shows.
    showMask(seen, mask, now, before) {
      table.show(now.scores, before?.scores);
      if (seen.truth) plot.show(seen.rows, now.settings.threshold, now.scores);
      cancelAnimationFrame(painting);
      painting = requestAnimationFrame(() => {
        const { picture, truth } = seen;
        showPicture(frame, picture);
        if (truth) outline(frame, truth, picture.height, picture.width);
        outline(frame, mask, picture.height, picture.width, { ofNetwork: true });
        showKinds(kinds, picture, mask, truth ?? mask);
      });
    },
  };
}

function kindsKey() {
  const kinds = [swatch(FOUND, "found"), swatch(FALSE_ALARM, "falsely marked"), swatch(MISSED, "missed")];
  return el("div", { className: "lab-key" }, ...kinds);
}

function mapKey() {
  const colours = [0, 0.25, 0.5, 0.75, 1].map((value) => `rgb(${heat(value)})`);
  const bar = el("span", { className: "lab-scale-bar", style: `background: linear-gradient(to right, ${colours})` });
  return el("div", { className: "lab-scale" }, "0", bar, "1");
}

const COLUMNS = [...Object.keys(SCORES), "share marked"];

// The scores now, and before the knob was touched that was turned last.
function scoreTable() {
  const rows = ["now", "before this knob"].map((name) => {
    const cells = COLUMNS.map((column) => el("td", { "data-score": column, "data-row": name }));
    return { cells, row: el("tr", {}, el("th", { scope: "row" }, name), ...cells) };
  });
  const head = el("tr", {}, el("td"), ...COLUMNS.map((name) => el("th", { scope: "col" }, name)));
  return {
    element: el("table", { className: "lab-numbers" }, el("thead", {}, head), el("tbody", {}, ...rows.map(({ row }) => row))),
    show(...both) {
      rows.forEach(({ cells }, k) => {
        cells.forEach((cell, c) => {
          const value = both[k]?.[COLUMNS[c]];
          cell.textContent = figure(COLUMNS[c], value);
          cell.dataset.value = value ?? "";
        });
      });
    },
  };
}

// A score as text; a dash where there is none.
export function figure(name, value) {
  if (value === undefined) return "–";
  return name === "share marked" ? `${(100 * value).toFixed(1)} %` : score(value);
}
