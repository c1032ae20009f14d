// Outlines as pixels: what lies within them, and how they are drawn. An outline is as in drawing.js, [x, y] points.

// How far the points of an outline get from its first.
export function farthest(points) {
  return Math.max(...points.map(([x, y]) => Math.hypot(x - points[0][0], y - points[0][1])));
}

// All that is in any of the masks, which have `size` pixels each.
export function unite(masks, size) {
  const all = new Uint8Array(size);
  for (const mask of masks) mask.forEach((value, i) => (all[i] |= value));
  return all;
}

// The pixels whose centre lies within a closed outline. A pixel is within if a ray from it crosses the outline an
// odd number of times (even-odd), so what an outline encloses twice, as an 8 drawn over itself, stays out.
export function fill(points, height, width) {
  const mask = new Uint8Array(height * width);
  for (let row = 0; row < height; row++) {
    const y = row + 0.5;
    const crossings = [];
    points.forEach(([x1, y1], i) => {
      const [x2, y2] = points[(i + 1) % points.length];
      if (y1 > y !== y2 > y) crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
    });
    crossings.sort((a, b) => a - b);
    for (let k = 0; k < crossings.length; k += 2)
      for (let x = Math.ceil(crossings[k] - 0.5); x + 0.5 < crossings[k + 1]; x++) mask[row * width + x] = 1;
  }
  return mask;
}

// The backdrop, outlines on it, and the cross of the keyboard, if there is one.
export function paint(canvas, backdrop, outlines, cross) {
  if (!backdrop.width) return;
  const context = canvas.getContext("2d");
  const thick = canvas.width / (canvas.getBoundingClientRect().width || canvas.width); // one pixel of the screen
  context.drawImage(backdrop, 0, 0);
  context.fillStyle = "rgb(255 255 255 / 0.18)";
  for (const { points, freehand } of outlines) {
    const line = new Path2D();
    points.forEach((point) => line.lineTo(...point));
    line.closePath();
    context.fill(line, "evenodd");
    strokeTwice(context, line, thick);
    if (!freehand) for (const [x, y] of points) dot(context, x, y, thick);
  }
  if (cross) {
    const [x, y] = cross;
    const arm = 10 * thick;
    strokeTwice(context, new Path2D(`M${x - arm} ${y}h${2 * arm}M${x} ${y - arm}v${2 * arm}`), thick);
  }
}

// White with a dark rim, to be seen on anything.
function strokeTwice(context, line, thick) {
  for (const [colour, width] of [["black", 4], ["white", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * thick;
    context.stroke(line);
  }
}

function dot(context, x, y, thick) {
  const corner = new Path2D();
  corner.arc(x, y, 3 * thick, 0, 2 * Math.PI);
  strokeTwice(context, corner, thick);
}
