// Regions and their geometry. All positions are fractions of the displayed image, 0 to 1:
//   { shape: "box" | "ellipse", left, top, width, height }
//   { shape: "polygon", points: [[x, y], …] }
//   { shape: "brush", strokes: [{ points: [[x, y], …], width }] }, width as a fraction of the image's shorter side
// A `size` is { width, height } of the displayed image in pixels: only its proportions matter.

export const SHAPES = ["box", "ellipse", "polygon", "brush"];
export const MIN_SIZE = 0.01;
// What a spec may have.
export const MAX_REGIONS = 100;
const MAX_CORNERS = 100;
const MAX_STROKE_POINTS = 200;
const MAX_STROKES = 20;

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Returns { left, top, width, height } around a region.
export function bounds(region, size) {
  if (region.shape === "box" || region.shape === "ellipse") {
    const { left, top, width, height } = region;
    return { left, top, width, height };
  }
  const edges = { left: 1, top: 1, right: 0, bottom: 0 };
  const include = ([x, y], across, down) => {
    edges.left = Math.min(edges.left, Math.max(0, x - across));
    edges.top = Math.min(edges.top, Math.max(0, y - down));
    edges.right = Math.max(edges.right, Math.min(1, x + across));
    edges.bottom = Math.max(edges.bottom, Math.min(1, y + down));
  };
  if (region.shape === "polygon") for (const point of region.points) include(point, 0, 0);
  else {
    for (const { points, width } of region.strokes) {
      const radius = (width / 2) * Math.min(size.width, size.height);
      for (const point of points) include(point, radius / size.width, radius / size.height);
    }
  }
  return { left: edges.left, top: edges.top, width: edges.right - edges.left, height: edges.bottom - edges.top };
}

// Moves and resizes a region, in place, so that `bounds` becomes `to`, clipped to the image.
export function setBounds(region, to, size) {
  const width = clamp(to.width, MIN_SIZE, 1);
  const height = clamp(to.height, MIN_SIZE, 1);
  const target = { left: clamp(to.left, 0, 1 - width), top: clamp(to.top, 0, 1 - height), width, height };
  if (region.shape === "box" || region.shape === "ellipse") {
    Object.assign(region, target);
    return;
  }
  const from = bounds(region, size);
  const along = (value, start, length, targetStart, targetLength) =>
    clamp(targetStart + (length ? ((value - start) * targetLength) / length : targetLength / 2), 0, 1);
  const place = ([x, y]) => [
    along(x, from.left, from.width, target.left, target.width),
    along(y, from.top, from.height, target.top, target.height),
  ];
  if (region.shape === "polygon") region.points = region.points.map(place);
  else {
    // A brush keeps its width: only its lines are stretched.
    for (const stroke of region.strokes) stroke.points = stroke.points.map(place);
  }
}

// Returns a region of this shape in a box: what the keyboard adds.
export function regionIn(shape, { left, top, width, height }, brushWidth) {
  if (shape === "polygon") {
    const at = (x, y) => [left + x * width, top + y * height];
    return { shape, points: [at(0.25, 0), at(0.75, 0), at(1, 0.5), at(0.75, 1), at(0.25, 1), at(0, 0.5)] };
  }
  if (shape === "brush") {
    const middle = top + height / 2;
    return { shape, strokes: [{ points: [[left, middle], [left + width, middle]], width: brushWidth }] };
  }
  return { shape, left, top, width, height };
}

// Adds the outline of a region to a canvas's path, on a picture of this size; strokes are drawn by `strokesOf`.
export function tracePath(path, region, size) {
  if (region.shape === "polygon") {
    region.points.forEach(([x, y], index) => {
      if (index) path.lineTo(x * size.width, y * size.height);
      else path.moveTo(x * size.width, y * size.height);
    });
    path.closePath();
    return;
  }
  const [left, top] = [region.left * size.width, region.top * size.height];
  const [width, height] = [region.width * size.width, region.height * size.height];
  if (region.shape === "ellipse") {
    path.moveTo(left + width, top + height / 2);
    path.ellipse(left + width / 2, top + height / 2, width / 2, height / 2, 0, 0, 2 * Math.PI);
  } else path.rect(left, top, width, height);
}

// Paints a region in the context's fill and stroke style, grown by `padding` pixels.
export function paintRegion(context, region, size, padding = 0) {
  context.lineCap = context.lineJoin = "round";
  if (region.shape === "brush") {
    for (const { points, width } of region.strokes) {
      context.lineWidth = width * Math.min(size.width, size.height) + 2 * padding;
      context.beginPath();
      points.forEach(([x, y], index) => {
        if (index) context.lineTo(x * size.width, y * size.height);
        else context.moveTo(x * size.width, y * size.height);
      });
      // A line without length is not drawn.
      if (points.length === 1) context.lineTo(points[0][0] * size.width + 0.01, points[0][1] * size.height);
      context.stroke();
    }
    return;
  }
  context.beginPath();
  tracePath(context, region, size);
  context.fill("nonzero");
  if (padding) {
    context.lineWidth = 2 * padding;
    context.stroke();
  }
}

// Returns a polyline with at most so many points that is nearly the same (Ramer, Douglas and Peucker).
export function simplified(points, size, most) {
  const scaled = points.map(([x, y]) => [x * size.width, y * size.height]);
  const keep = new Uint8Array(points.length);
  let tolerance = Math.max(size.width, size.height) / 1000;
  let kept = points;
  do {
    keep.fill(0);
    keep[0] = keep[points.length - 1] = 1;
    const open = [[0, points.length - 1]];
    while (open.length) {
      const [first, last] = open.pop();
      let [worst, at] = [tolerance, -1];
      for (let index = first + 1; index < last; index += 1) {
        const distance = distanceToSegment(scaled[index], scaled[first], scaled[last]);
        if (distance > worst) [worst, at] = [distance, index];
      }
      if (at < 0) continue;
      keep[at] = 1;
      open.push([first, at], [at, last]);
    }
    kept = points.filter((_, index) => keep[index]);
    tolerance *= 2;
  } while (kept.length > most);
  return kept;
}

function distanceToSegment([x, y], [x1, y1], [x2, y2]) {
  const [across, down] = [x2 - x1, y2 - y1];
  const length = across * across + down * down;
  const share = length ? clamp(((x - x1) * across + (y - y1) * down) / length, 0, 1) : 0;
  return Math.hypot(x - x1 - share * across, y - y1 - share * down);
}

// Returns the polygon that a pointer drew around, or null if it is too small to be meant.
export function polygonAround(points, size) {
  const region = { shape: "polygon", points: simplified(points, size, MAX_CORNERS) };
  const { width, height } = bounds(region, size);
  return region.points.length >= 3 && Math.min(width, height) >= MIN_SIZE ? region : null;
}

// Returns the stroke that a brush of this width drew.
export function strokeAlong(points, width, size) {
  return { points: simplified(points, size, MAX_STROKE_POINTS), width };
}

// Returns whether a stroke belongs to the strokes before: there is room, and it is of the same brush.
export function continues(region, stroke) {
  return region?.shape === "brush" && region.strokes.length < MAX_STROKES && region.strokes[0].width === stroke.width;
}

// Returns a copy that shares nothing.
export const copyOf = (region) => structuredClone(region);
