// White noise, the same as that of the Python package: see white_noise in styleaug/edge.py.

const CENTRE_TOP = [
  2.509080928730122e3, 3.3430575583588128e4, 6.72657709270087e4, 4.592195393154987e4,
  1.3731693765509461e4, 1.9715909503065514e3, 1.3314166789178438e2, 3.387132872796366,
];
const CENTRE_BOTTOM = [
  5.226495278852855e3, 2.8729085735721943e4, 3.9307895800092711e4, 2.1213794301586596e4,
  5.394196021424751e3, 6.871870074920579e2, 4.23133307016009e1, 1,
];
const TAIL_TOP = [
  7.745450142783414e-4, 2.2723844989269185e-2, 2.417807251774506e-1, 1.2704582524523684,
  3.6478483247632046, 5.769497221460691, 4.630337846156546, 1.4234371107496836,
];
const TAIL_BOTTOM = [
  1.0507500716444169e-9, 5.475938084995345e-4, 1.5198666563616457e-2, 1.4810397642748008e-1,
  6.897673349851e-1, 1.6763848301838038, 2.053191626637759, 1,
];

const polynomial = (coefficients, r) => coefficients.reduce((sum, c) => sum * r + c, 0);

/** Of the normal distribution, for p in [0.5, 1 - 1e-11): Wichura's algorithm AS 241 (1988). */
function quantile(p) {
  const q = p - 0.5;
  if (q <= 0.425) {
    const r = 0.180625 - q * q;
    return (polynomial(CENTRE_TOP, r) * q) / polynomial(CENTRE_BOTTOM, r);
  }
  const r = Math.sqrt(-Math.log(1 - p)) - 1.6;
  return polynomial(TAIL_TOP, r) / polynomial(TAIL_BOTTOM, r);
}

/** For 16 bits that count from 0 up, then from -32,768 up. */
function makeQuantiles() {
  const half = 2 ** 15;
  const table = new Float32Array(2 * half);
  for (let k = 0; k < half; k++) {
    table[k] = quantile((half + k + 0.5) / (2 * half));
    table[2 * half - 1 - k] = -table[k];
  }
  return table;
}

let quantiles;

/** Gaussian noise, height * width numbers: a function of the seed and the place alone. */
export function whiteNoise(seed, height, width) {
  quantiles ??= makeQuantiles();
  const noise = new Float32Array(height * width);
  const start = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d);
  for (let place = 0; 2 * place < noise.length; place++) {
    let x = Math.imul(place, 0x9e3779b1) ^ start; // "lowbias32"
    x ^= x >>> 16;
    x = Math.imul(x, 0x7feb352d);
    x ^= x >>> 15;
    x = Math.imul(x, 0x846ca68b);
    x ^= x >>> 16;
    noise[2 * place] = quantiles[x & 0xffff];
    noise[2 * place + 1] = quantiles[x >>> 16]; // past the end of an odd number, this does nothing
  }
  return noise;
}
