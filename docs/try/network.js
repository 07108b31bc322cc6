// Runs an exported pack: what styleaug/edge.py is in Python.

import * as ort from "./vendor/ort.wasm.min.mjs";
import { whiteNoise } from "./noise.js";
import { crop, relief, relight, toPixels, toPlanes } from "./pixels.js";

const LEAST = 16; // pixels a side that the network takes
const MOST_THREADS = 4; // more gain nothing at these sizes

ort.env.wasm.wasmPaths = new URL("vendor/", import.meta.url).href;

export class Network {
  #folder;
  #cell;
  #restyler;
  #encoder;
  #noise = { key: "", values: null };

  /**
   * folder: URL of the folder model/; cell: sides that the network takes are its multiples;
   * threads: 0 leaves their number to the machine.
   */
  constructor(folder, cell, threads = 0) {
    this.#folder = folder;
    this.#cell = cell;
    // threads share memory, which browsers allow to pages that are isolated from others
    const cores = self.crossOriginIsolated ? navigator.hardwareConcurrency || 1 : 1;
    // the page paints meanwhile: with a thread on every core, each frame waits for it
    const free = Math.max(1, Math.floor(cores / 2));
    ort.env.wasm.numThreads = threads || Math.min(MOST_THREADS, free);
  }

  get threads() {
    return ort.env.wasm.numThreads;
  }

  async open() {
    this.#restyler = await this.#load("restyle.onnx");
  }

  /**
   * Restyle a picture.
   *
   * pixels: RGBA, 8 bits; code: of the style, Float32Array; strength, texture: in [0, 1]; relief:
   * gain of local detail, 1 is none; light: in [-1, 1], 0 is none; seed: places the grain, the same
   * for all frames of a film, or it flickers. Returns pixels of the same size.
   */
  async restyle({ pixels, width, height, code, strength, texture, relief: gain, light, seed = 0 }) {
    if (strength === 0 && gain === 1 && light === 0) return pixels;
    let planes;
    if (strength === 0) {
      planes = toPlanes(pixels, width, height, width, height);
    } else {
      const [columns, rows] = [width, height].map((side) => this.#whole(side));
      const images = toPlanes(pixels, width, height, columns, rows);
      const noise = this.#noiseOf(seed, rows, columns);
      const { restyled } = await this.#restyler.run({
        images: new ort.Tensor("float32", images, [1, 3, rows, columns]),
        code: new ort.Tensor("float32", code, [1, code.length]),
        strength: new ort.Tensor("float32", [strength], [1]),
        texture: new ort.Tensor("float32", [texture], [1]),
        noise: new ort.Tensor("float32", noise, [1, 1, rows, columns]),
      });
      planes = crop(restyled.data, columns, rows, width, height);
    }
    if (gain !== 1) relief(planes, width, height, gain);
    if (light !== 0) relight(planes, width, height, light);
    return toPixels(planes);
  }

  /** The code of a square picture as a style; the encoder is loaded when it is first asked for. */
  async encode({ pixels, side }) {
    this.#encoder ??= await this.#load("encoder.onnx");
    const picture = toPlanes(pixels, side, side, side, side);
    const { code } = await this.#encoder.run({
      picture: new ort.Tensor("float32", picture, [1, 3, side, side]),
    });
    return code.data.slice();
  }

  #whole(side) {
    return Math.max(LEAST, Math.ceil(side / this.#cell) * this.#cell);
  }

  /** Of the last picture's size: frames of a film have the same. */
  #noiseOf(seed, rows, columns) {
    const key = `${seed} ${rows} ${columns}`;
    if (this.#noise.key !== key) this.#noise = { key, values: whiteNoise(seed, rows, columns) };
    return this.#noise.values;
  }

  async #load(name) {
    const response = await fetch(new URL(name, this.#folder));
    if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`.trim());
    return ort.InferenceSession.create(await response.arrayBuffer(), {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
      logSeverityLevel: 3, // errors
    });
  }
}
