// A picture to draw outlines on: with mouse, finger or pen, or by keyboard alone.
//
// Points are [x, y] in pixels of the picture; the centre of the first pixel is [0.5, 0.5]. An outline is
// {points, freehand, open}: drawn in one go, or set corner by corner, and then `open` for the next corner.

import { showPicture } from "../page/canvas.js";
import { farthest, fill, paint, unite } from "./outlines.js";
import { el } from "../page/ui.js";

export const HOW_TO =
  "Draw around the polyp with mouse, finger or pen, or click corner after corner; by keyboard, the arrow keys move a " +
  "cross (with Shift, farther), Enter or Space sets a corner, Backspace takes the last away, and C closes the outline " +
  "so that another can begin.";
const CLICK = 4; // pixels of the screen: who moves less has clicked
const STEP = 1 / 128; // of the picture's width, for an arrow key
const FAR = 8; // times as far with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// `onChange(words)` is called after each change, with a few words on it for the status line; `onNothing(words)`
// where there was nothing to change.
// Returns {element, show(picture), mask(), undo(), clear()}.
export function drawingSurface({ label, describedBy, onChange, onNothing }) {
  const canvas = el("canvas", {
    className: "lab-stage lab-drawing",
    tabIndex: 0,
    role: "application",
    "aria-label": label,
    "aria-describedby": describedBy,
  });
  const backdrop = el("canvas", { width: 0 }); // the picture alone, so that a stroke is drawn on it quickly
  let outlines = [];
  let stroke = null; // the points of the finger that is down
  let cross = null; // only while the keyboard is used

  const redraw = () => {
    const drawn = stroke ? [...outlines, { points: stroke, freehand: true }] : outlines;
    paint(canvas, backdrop, drawn, cross);
  };
  const changed = (words) => {
    redraw();
    onChange(words);
  };

  const at = () => (cross ??= [canvas.width / 2, canvas.height / 2]);

  function addCorner(point) {
    if (!outlines.at(-1)?.open) outlines.push({ points: [], freehand: false, open: true });
    const { points } = outlines.at(-1);
    points.push(point);
    const [x, y] = point.map(Math.round);
    changed(`Corner ${points.length} at ${x}, ${y}.${points.length < 3 ? " Three make an outline." : ""}`);
  }

  function close() {
    if (!outlines.at(-1)?.open) return onNothing("There is no outline to close.");
    outlines.at(-1).open = false;
    onNothing("Closed; the next corner begins another outline.");
  }

  function undo() {
    const last = outlines.at(-1);
    if (!last) return onNothing("There is nothing to take away.");
    if (last.freehand || last.points.length === 1) outlines.pop();
    else {
      last.points.pop();
      last.open = true;
    }
    changed(last.freehand ? "Took the last outline away." : "Took the last corner away.");
  }

  function clear() {
    outlines = [];
    changed("Nothing is drawn.");
  }

  function pointAt(event) {
    const box = canvas.getBoundingClientRect();
    const inside = (value, size) => Math.min(Math.max(value, 0), 1) * size;
    return [
      inside((event.clientX - box.left) / box.width, canvas.width),
      inside((event.clientY - box.top) / box.height, canvas.height),
    ];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0 || !backdrop.width) return;
    try {
      canvas.setPointerCapture(event.pointerId); // so that a stroke goes on outside
    } catch {
      // a pointer that a program made up cannot be captured
    }
    cross = null;
    stroke = [pointAt(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || !event.isPrimary) return;
    const steps = event.getCoalescedEvents?.() ?? []; // all that a quick hand did between two pictures
    stroke.push(...(steps.length ? steps : [event]).map(pointAt));
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!stroke || !event.isPrimary) return;
    const points = [...stroke, pointAt(event)];
    stroke = null;
    const scale = canvas.getBoundingClientRect().width / canvas.width;
    if (farthest(points) * scale < CLICK) return addCorner(points[0]);
    if (outlines.at(-1)?.open) outlines.at(-1).open = false;
    outlines.push({ points, freehand: true, open: false });
    changed(outlines.length === 1 ? "One outline is drawn." : `${outlines.length} outlines are drawn.`);
  });
  canvas.addEventListener("pointercancel", () => {
    stroke = null; // the browser took the finger, to zoom
    redraw();
  });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !backdrop.width) return;
    const set = () => addCorner([...at()]);
    const keys = { Enter: set, " ": set, Backspace: undo, c: close, C: close };
    if (event.key in ARROWS) moveCross(ARROWS[event.key], event.shiftKey ? FAR : 1);
    else if (event.key in keys) keys[event.key]();
    else return;
    event.preventDefault(); // the page does not scroll
  });
  function moveCross([right, down], times) {
    const step = times * Math.max(1, canvas.width * STEP);
    const [x, y] = at();
    const within = (value, size) => Math.min(Math.max(value, 0), size);
    cross = [within(x + right * step, canvas.width), within(y + down * step, canvas.height)];
    redraw();
  }
  canvas.addEventListener("focus", () => {
    if (backdrop.width && canvas.matches(":focus-visible")) at();
    redraw();
  });
  canvas.addEventListener("blur", () => {
    cross = null;
    redraw();
  });

  return {
    element: canvas,
    show(picture) {
      showPicture(backdrop, picture);
      [canvas.width, canvas.height] = [picture.width, picture.height];
      [outlines, stroke, cross] = [[], null, null];
      redraw();
    },
    mask() {
      const { height, width } = canvas;
      return unite(outlines.map(({ points }) => fill(points, height, width)), height * width);
    },
    undo,
    clear,
  };
}
