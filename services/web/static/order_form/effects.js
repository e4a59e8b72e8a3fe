// Approximations of the server's effects, for a preview at screen size.

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

// At most so many cells across a region; each is its pixels' mean, in few levels.
const CELLS = 6;
const LEVELS = 8;

// Returns the part of an image as the server redacts it: a few soft cells.
function redact(pixels, width, height) {
  const cell = Math.max(2, Math.ceil(Math.max(width, height) / CELLS));
  const cells = pixelate(pixels, width, height, cell);
  const step = 255 / (LEVELS - 1);
  for (let at = 0; at < cells.length; at += 1) if (at % 4 < 3) cells[at] = Math.round(cells[at] / step) * step;
  return gaussian(cells, width, height, cell / 3);
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
  if (effect === "redact") return new ImageData(redact(data, width, height), width, height);
  const amount = (strength / 100) * side;
  const result =
    effect === "pixelate"
      ? pixelate(data, width, height, Math.max(2, Math.round(amount)))
      : gaussian(data, width, height, Math.max(0.3, amount));
  return new ImageData(result, width, height);
}
