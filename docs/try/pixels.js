// Pixels as the canvas has them (RGBA, 8 bits), planes as networks take them (3 x height x width,
// float), and what is done to planes without a network.

/** Planes of a picture, continued to whole cells by what lies at the border. */
export function toPlanes(pixels, width, height, columns, rows) {
  const planes = new Float32Array(3 * rows * columns);
  const size = rows * columns;
  const across = Int32Array.from({ length: columns }, (_, x) => 4 * symmetric(x, width));
  for (let y = 0, to = 0; y < rows; y++) {
    const line = 4 * width * symmetric(y, height);
    for (let x = 0; x < columns; x++, to++) {
      const from = line + across[x];
      planes[to] = pixels[from] / 255;
      planes[to + size] = pixels[from + 1] / 255;
      planes[to + 2 * size] = pixels[from + 2] / 255;
    }
  }
  return planes;
}

/** The place that stands for place k, which may lie beyond the end: the edge is there twice. */
function symmetric(k, length) {
  const place = k % (2 * length);
  return place < length ? place : 2 * length - 1 - place;
}

/** The same, but the edge is there once. */
function reflected(k, length) {
  if (length === 1) return 0;
  const turn = 2 * length - 2;
  const place = ((k % turn) + turn) % turn;
  return place < length ? place : turn - place;
}

/** The first rows and columns of planes. */
export function crop(planes, columns, rows, width, height) {
  if (columns === width && rows === height) return planes;
  const out = new Float32Array(3 * height * width);
  for (let plane = 0, to = 0; plane < 3; plane++) {
    for (let y = 0; y < height; y++, to += width) {
      const from = (plane * rows + y) * columns;
      out.set(planes.subarray(from, from + width), to);
    }
  }
  return out;
}

/** Planes as the canvas takes them. */
export function toPixels(planes) {
  const size = planes.length / 3;
  const pixels = new Uint8ClampedArray(4 * size).fill(255);
  for (let channel = 0; channel < 3; channel++) {
    for (let from = channel * size, to = channel; from < (channel + 1) * size; from++, to += 4) {
      // cut off after the half is added, as in Python; the array itself would round to even
      pixels[to] = Math.floor(planes[from] * 255 + 0.5);
    }
  }
  return pixels;
}

export const RELIEF_SIGMA = 3; // pixels
export const RELIEF_RADIUS = 9;

/** Planes with their local detail times gain: low + gain * (x - low), in place. */
export function relief(planes, width, height, gain) {
  const kernel = gaussian(RELIEF_SIGMA, RELIEF_RADIUS);
  for (let channel = 0; channel < 3; channel++) {
    const plane = planes.subarray(channel * width * height, (channel + 1) * width * height);
    const low = blur(plane, width, height, kernel);
    for (let k = 0; k < plane.length; k++) {
      plane[k] = Math.min(1, Math.max(0, low[k] + gain * (plane[k] - low[k])));
    }
  }
}

function gaussian(sigma, radius) {
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, k) =>
    Math.exp(-0.5 * ((k - radius) / sigma) ** 2),
  );
  const sum = kernel.reduce((a, b) => a + b);
  return kernel.map((value) => value / sum);
}

/** Rows, then columns: a line with its ends reflected is weighted and added, entry by entry. */
function blur(plane, width, height, kernel) {
  const radius = (kernel.length - 1) / 2;
  const half = new Float32Array(plane.length);
  const line = new Float32Array(width + 2 * radius);
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < line.length; k++) line[k] = plane[y * width + reflected(k - radius, width)];
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k] * line[x + k];
      half[y * width + x] = sum;
    }
  }
  const out = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < kernel.length; k++) {
      const from = reflected(y + k - radius, height) * width;
      const weight = kernel[k];
      for (let x = 0; x < width; x++) out[y * width + x] += weight * half[from + x];
    }
  }
  return out;
}

/**
 * What a position of the slider "Light", in [-1, 1], means in the terms of styleaug's Relight: log
 * gain of the whole image, log gain at the bright end of a gradient, and where that end lies.
 */
export function lightOf(amount) {
  return {
    exposure: 0.45 * amount,
    gradient: 0.6 * Math.abs(amount),
    gradient_angle: 1.25 * Math.PI,
  };
}

const LARGEST_GAIN = 1.2; // log gain that exposure and gradient together approach

/** Planes under another lighting, in place: see styleaug/stages/relight.py. */
export function relight(planes, width, height, amount) {
  const { exposure, gradient, gradient_angle: angle } = lightOf(amount);
  const longer = Math.max(width, height);
  const size = width * height;
  for (let y = 0, k = 0; y < height; y++) {
    const down = exposure + (2 * gradient * Math.sin(angle) * (y + 0.5 - height / 2)) / longer;
    for (let x = 0; x < width; x++, k++) {
      const across = (2 * gradient * Math.cos(angle) * (x + 0.5 - width / 2)) / longer;
      const gain = Math.exp(LARGEST_GAIN * Math.tanh((across + down) / LARGEST_GAIN));
      const excess = Math.max(0, gain - 1); // a shoulder that maps white on white
      for (let at = k; at < 3 * size; at += size) {
        planes[at] = (planes[at] * gain) / (1 + excess * planes[at]);
      }
    }
  }
}
