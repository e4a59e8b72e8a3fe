// Approximations of the server's effects, for a preview at screen size.

import { bounds, paintRegion } from "../shared/regions/shapes.js";

function boxRadii(sigma) {
  // Three box filters approximate a Gaussian. Source: W. M. Wells, Efficient Synthesis of Gaussian Filters, 1986.
  const ideal = Math.sqrt((12 * sigma * sigma) / 3 + 1);
  let lower = Math.floor(ideal);
  if (lower % 2 === 0) lower -= 1;
  const lowerCount = Math.round((12 * sigma * sigma - 3 * lower * lower - 12 * lower - 9) / (-4 * lower - 4));
  return [0, 1, 2].map((pass) => ((pass < lowerCount ? lower : lower + 2) - 1) / 2);
}

function mirrored(index, length) {
  const period = 2 * length;
  const at = ((index % period) + period) % period;
  return at < length ? at : period - 1 - at;
}

function boxPass(source, target, lines, length, lineStep, step, radius) {
  const scale = 1 / (2 * radius + 1);
  for (let line = 0; line < lines; line += 1) {
    const base = line * lineStep;
    for (let channel = 0; channel < 4; channel += 1) {
      const start = base + channel;
      let sum = 0;
      for (let at = -radius; at <= radius; at += 1) sum += source[start + mirrored(at, length) * step];
      for (let at = 0; at < length; at += 1) {
        target[start + at * step] = sum * scale;
        sum += source[start + mirrored(at + radius + 1, length) * step] - source[start + mirrored(at - radius, length) * step];
      }
    }
  }
}

function gaussian(pixels, width, height, sigma) {
  let from = Float32Array.from(pixels);
  let to = new Float32Array(from.length);
  for (let at = 0; at < from.length; at += 4) {
    const alpha = from[at + 3] / 255; // premultiply, or colours of transparent pixels would show
    from[at] *= alpha;
    from[at + 1] *= alpha;
    from[at + 2] *= alpha;
  }
  for (const radius of boxRadii(sigma)) {
    if (radius < 1) continue;
    boxPass(from, to, height, width, width * 4, 4, radius);
    boxPass(to, from, width, height, 4, width * 4, radius);
  }
  const result = new Uint8ClampedArray(from.length);
  for (let at = 0; at < from.length; at += 4) {
    const scale = from[at + 3] ? 255 / from[at + 3] : 0;
    result[at] = from[at] * scale;
    result[at + 1] = from[at + 1] * scale;
    result[at + 2] = from[at + 2] * scale;
    result[at + 3] = from[at + 3];
  }
  return result;
}

function pixelate(pixels, width, height, cell) {
  const result = new Uint8ClampedArray(pixels.length);
  for (let top = 0; top < height; top += cell) {
    for (let left = 0; left < width; left += cell) {
      const right = Math.min(left + cell, width);
      const bottom = Math.min(top + cell, height);
      const sum = [0, 0, 0, 0];
      for (let y = top; y < bottom; y += 1) {
        for (let at = (y * width + left) * 4; at < (y * width + right) * 4; at += 4) {
          const alpha = pixels[at + 3];
          for (let channel = 0; channel < 3; channel += 1) sum[channel] += pixels[at + channel] * alpha;
          sum[3] += alpha;
        }
      }
      const count = (right - left) * (bottom - top);
      const colour = [sum[0] / (sum[3] || 1), sum[1] / (sum[3] || 1), sum[2] / (sum[3] || 1), sum[3] / count];
      for (let y = top; y < bottom; y += 1) {
        for (let x = left; x < right; x += 1) result.set(colour, (y * width + x) * 4);
      }
    }
  }
  return result;
}

// Cells across the longer side of a region with its surroundings, which reach so far beyond it.
const CELLS = 3;
const SURROUNDINGS = 0.1;

// Draws what the server puts in place of a region: a few soft cells in the colours of what is visible around it.
// hidden: RGBA of the mask of all regions, whose opacity marks the pixels that are not visible. grow: by so many pixels.
export function redactRegion(context, original, hidden, region, size, grow) {
  const box = bounds(region, size);
  const reach = Math.max(box.width * size.width, box.height * size.height) * SURROUNDINGS + 2 + grow;
  const left = Math.max(0, Math.floor(box.left * size.width - reach));
  const top = Math.max(0, Math.floor(box.top * size.height - reach));
  const right = Math.min(size.width, Math.ceil((box.left + box.width) * size.width + reach));
  const bottom = Math.min(size.height, Math.ceil((box.top + box.height) * size.height + reach));
  const [width, height] = [right - left, bottom - top];
  const cells = cellsAround(original, hidden, { left, top, width, height });
  // Enlarged by the browser, they pass softly into each other.
  const small = new OffscreenCanvas(cells.width, cells.height);
  small.getContext("2d").putImageData(cells, 0, 0);
  const filled = new OffscreenCanvas(width, height);
  const fill = filled.getContext("2d");
  fill.imageSmoothingQuality = "high";
  fill.drawImage(small, 0, 0, width, height);
  // No further than the region, or its surroundings would cover others.
  fill.globalCompositeOperation = "destination-in";
  const shape = new OffscreenCanvas(width, height);
  const outline = shape.getContext("2d");
  outline.translate(-left, -top);
  paintRegion(outline, region, size, grow);
  fill.drawImage(shape, 0, 0);
  context.drawImage(filled, left, top);
}

function cellsAround({ data, width: stride }, hidden, { left, top, width, height }) {
  const across = Math.max(1, Math.round((width * CELLS) / Math.max(width, height)));
  const down = Math.max(1, Math.round((height * CELLS) / Math.max(width, height)));
  const sums = new Float64Array(across * down * 5);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = ((top + y) * stride + left + x) * 4;
      if (hidden[at + 3]) continue;
      const cell = (Math.floor((y * down) / height) * across + Math.floor((x * across) / width)) * 5;
      for (let channel = 0; channel < 4; channel += 1) sums[cell + channel] += data[at + channel];
      sums[cell + 4] += 1;
    }
  }
  const known = [];
  for (let cell = 0; cell < across * down; cell += 1) if (sums[cell * 5 + 4]) known.push(cell);
  const cells = new ImageData(across, down);
  for (let cell = 0; cell < across * down; cell += 1) {
    const [x, y] = [cell % across, Math.floor(cell / across)];
    // Of a cell without visible pixels, the mean of the nearest that have some.
    const distances = known.map((other) => Math.max(Math.abs((other % across) - x), Math.abs(Math.floor(other / across) - y)));
    const least = Math.min(...distances);
    const colour = [0, 0, 0, 0];
    const near = known.filter((_, index) => distances[index] === least);
    for (const other of near) for (let channel = 0; channel < 4; channel += 1) colour[channel] += sums[other * 5 + channel] / sums[other * 5 + 4] / near.length;
    if (!near.length) colour.splice(0, 4, 128, 128, 128, 255);
    // Lighter and darker ones, so that a region can be seen on a plain ground.
    const tone = ((((2 * y + 3 * x) % 5) - 2) / 2) * 0.05 * 255;
    cells.data.set([colour[0] + tone, colour[1] + tone, colour[2] + tone, colour[3]], cell * 4);
  }
  return cells;
}

// Returns the image (ImageData) with an effect; strength in per cent of its shorter side.
export function applyEffect(image, { effect, strength, color }) {
  const { width, height, data } = image;
  const side = Math.min(width, height);
  if (effect === "solid") {
    const result = new Uint8ClampedArray(data.length);
    const parts = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    for (let at = 0; at < result.length; at += 4) result.set([...parts, 255], at);
    return new ImageData(result, width, height);
  }
  if (effect === "redact") {
    // Nothing is visible from which to take colours.
    const grey = new Uint8ClampedArray(data.length).fill(128);
    for (let at = 3; at < grey.length; at += 4) grey[at] = 255;
    return new ImageData(grey, width, height);
  }
  const amount = (strength / 100) * side;
  const result =
    effect === "pixelate"
      ? pixelate(data, width, height, Math.max(2, Math.round(amount)))
      : gaussian(data, width, height, Math.max(0.3, amount));
  return new ImageData(result, width, height);
}
