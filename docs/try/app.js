// What the page holds, and how its parts work together.

import { Client } from "./client.js";
import { Pad } from "./pad.js";
import { closeCamera, frameOf, openCamera, readPicture, squareOf, Told } from "./pictures.js";
import { pythonOf } from "./python.js";
import { Styles } from "./styles.js";
import { View } from "./view.js";

const MODEL = new URL("model/", import.meta.url).href;
const NEUTRAL = { strength: 0.9, texture: 0.6, light: 0, relief: 1 };
const LARGEST_REFERENCE = 1024; // pixels a side: more would only fill the memory
const FRAMES = 12; // that the speed is the mean of
const WARMING = 1500; // milliseconds in which a browser compiles what runs often
const PURE = 5e-4; // smaller shares of a style are none
const THREADS = Number(new URLSearchParams(location.search).get("threads")); // 0: by the machine

const element = (id) => document.getElementById(id);
const amounts = { ...NEUTRAL };
const corners = [0, 1, 2, 3]; // which styles the pad holds
const client = new Client();
const view = new View();
const pad = new Pad(changed, (change) => setAmount("strength", change(amounts.strength)));
const styles = new Styles(pick);

let page; // model/page.json
let picture; // ImageBitmap
let name = "picture";
let camera = null; // video, while it is on
let size = 256;
let threads = 1;
let ready = false;

// ---------------------------------------------------------------- telling

function tell(text) {
  element("message").textContent = text;
  element("message").hidden = !text;
}

/** Run what may fail; a failure becomes a sentence. */
async function attempt(action) {
  tell("");
  try {
    await action();
  } catch (error) {
    tell(error instanceof Told ? error.message : `Something went wrong: ${error.message}.`);
  }
}

// ---------------------------------------------------------------- style and amounts

/** The styles that are shown, with their weights. */
function mix() {
  const found = new Map();
  pad.weights.forEach((weight, k) => found.set(corners[k], (found.get(corners[k]) ?? 0) + weight));
  return [...found]
    .filter(([, weight]) => weight > PURE)
    .map(([place, weight]) => ({ ...styles.all[place], place, weight }));
}

function codeOf(mixture) {
  const total = mixture.reduce((sum, { weight }) => sum + weight, 0);
  return Float32Array.from(mixture[0].code, (_, k) =>
    mixture.reduce((sum, { code, weight }) => sum + (weight / total) * code[k], 0),
  );
}

/** A style of the pad is gone to; another takes the place of the nearest. */
function pick(place) {
  if (!corners.includes(place)) corners[pad.nearest] = place;
  labelPad();
  pad.toCorner(corners.indexOf(place));
}

function labelPad() {
  const held = corners.map((place) => styles.all[place]);
  pad.label(
    held.map(({ label }) => label),
    held.map(({ thumbnail }) => thumbnail),
  );
}

function setAmount(id, value) {
  const slider = element(id);
  slider.value = value; // which keeps it within its range
  amounts[id] = Number(slider.value);
  changed();
}

/** Something was moved: show it, and render anew. */
function changed() {
  if (!styles.all.length) return;
  for (const id of Object.keys(amounts)) {
    document.querySelector(`[data-of="${id}"]`).textContent = amounts[id].toFixed(2);
  }
  pad.showStrength(amounts.strength);
  const mixture = mix();
  styles.mark(corners, mixture.length === 1 ? mixture[0].place : -1);
  element("code").textContent = pythonOf({ pack: page.pack, mix: mixture, ...amounts });
  refresh();
}

// ---------------------------------------------------------------- rendering

let wanted = false;
let busy = false;
let warmUntil = 0;
const taken = []; // milliseconds of the last frames

/** Render as soon as the frame before is done; what changed meanwhile is in the next one. */
async function refresh() {
  wanted = true;
  if (busy || !ready) return;
  setBusy(true);
  try {
    while (wanted || camera || performance.now() < warmUntil) {
      wanted = false;
      if (camera) await new Promise(requestAnimationFrame);
      const start = performance.now();
      await render();
      showSpeed(performance.now() - start);
    }
  } catch (error) {
    tell(`The network stopped: ${error.message}.`);
  }
  setBusy(false);
}

function setBusy(value) {
  busy = value;
  element("stage").setAttribute("aria-busy", String(value));
}

async function render() {
  const frame = frameOf(camera ?? picture, size);
  view.show(frame, await restyle(frame, codeOf(mix()), amounts));
}

/** ImageData in, ImageData out. */
async function restyle(frame, code, settings) {
  const { width, height } = frame;
  const pixels = frame.data.slice();
  const request = { pixels, width, height, code, ...settings };
  const answer = await client.call("restyle", request, [pixels.buffer]);
  return new ImageData(answer.pixels, width, height);
}

function showSpeed(milliseconds) {
  taken.push(milliseconds);
  if (taken.length > FRAMES) taken.shift();
  const mean = taken.reduce((a, b) => a + b) / taken.length;
  const rate = 1000 / mean;
  const used = threads === 1 ? "1 thread" : `${threads} threads`;
  element("speed").textContent =
    `${rate.toFixed(rate < 10 ? 1 : 0)} frames/s · ${mean.toFixed(0)} ms · ${used}`;
}

let thumbnailing = 0; // counts pictures, so that thumbnails of an old one stop

function drawThumbnails(from = 0) {
  if (!ready) return;
  const own = from ? thumbnailing : ++thumbnailing;
  const square = squareOf(camera ?? picture, Styles.SIDE);
  const settings = { ...NEUTRAL, strength: 1 };
  const make = async (code) =>
    own === thumbnailing ? restyle(square, Float32Array.from(code), settings) : null;
  const done = () => {
    if (warmUntil) return;
    warmUntil = performance.now() + WARMING; // so that the speed that is told is that to come
    refresh();
  };
  styles
    .draw(make, labelPad, from)
    .then(done)
    .catch((error) => tell(`The network stopped: ${error.message}.`));
}

// ---------------------------------------------------------------- pictures

function show(bitmap, title) {
  stopCamera();
  picture = bitmap;
  name = title.replace(/\.[^.]*$/, "") || "picture";
  if (!ready) view.show(frameOf(picture, size));
  taken.length = 0;
  refresh();
  drawThumbnails();
}

async function openPicture(file) {
  show(await readPicture(file, file.name), file.name);
  markPart(-1);
}

function markPart(chosen) {
  [...element("parts").children].forEach((button, k) =>
    button.setAttribute("aria-pressed", String(k === chosen)),
  );
}

/** Buttons with the drawn parts; the first is shown. */
async function addParts(parts) {
  const bitmaps = await Promise.all(
    parts.map(async ({ file, label }) => {
      const response = await fetch(MODEL + file);
      return readPicture(await response.blob(), label);
    }),
  );
  parts.forEach(({ file, label }, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "part";
    button.append(Object.assign(new Image(), { src: MODEL + file, alt: "" }), label);
    button.addEventListener("click", () =>
      attempt(() => {
        show(bitmaps[k], label.toLowerCase());
        markPart(k);
      }),
    );
    element("parts").append(button);
  });
  show(bitmaps[0], parts[0].label.toLowerCase());
  markPart(0);
}

async function addReference(file) {
  element("own").classList.add("busy");
  try {
    const bitmap = await readPicture(file, file.name);
    if (!ready) throw new Told("The network is not there yet.");
    const { data, width } = squareOf(bitmap, LARGEST_REFERENCE);
    if (width < 16) throw new Told(`${file.name} is too small: a style needs 16 pixels a side.`);
    const { code } = await client.call("encode", { pixels: data, side: width });
    const place = styles.add({ file: file.name, label: file.name.replace(/\.[^.]*$/, ""), code });
    drawThumbnails(place);
    pick(place);
  } finally {
    element("own").classList.remove("busy");
  }
}

async function startCamera() {
  camera = await openCamera();
  name = "camera";
  markPart(-1);
  taken.length = 0;
  element("camera").setAttribute("aria-pressed", "true");
  refresh();
  drawThumbnails();
}

/** The last frame stays. */
function stopCamera() {
  if (!camera) return;
  const { data, width, height } = frameOf(camera, 1024);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  picture = canvas;
  closeCamera(camera);
  camera = null;
  element("camera").setAttribute("aria-pressed", "false");
  refresh();
}

// ---------------------------------------------------------------- wiring

function onFile(id, action) {
  element(id).addEventListener("change", ({ target }) => {
    const [file] = target.files;
    if (file) attempt(() => action(file));
    target.value = ""; // the same file may be chosen again
  });
}

function acceptDrops() {
  const areas = [element("own"), element("pad"), element("styles")];
  const isStyle = (event) => areas.some((area) => area.contains(event.target));
  const mark = (event) => {
    const over = event?.dataTransfer?.types.includes("Files") && event.type === "dragover";
    element("own").classList.toggle("over", Boolean(over && isStyle(event)));
    element("stage").classList.toggle("over", Boolean(over && !isStyle(event)));
  };
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(event);
  });
  document.addEventListener("dragleave", mark);
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(event);
    const [file] = event.dataTransfer.files;
    if (file) attempt(() => (isStyle(event) ? addReference(file) : openPicture(file)));
  });
}

async function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await view.toBlob());
  link.download = `${name}-restyled.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copy() {
  try {
    await navigator.clipboard.writeText(element("code").textContent);
    element("copy").textContent = "Copied";
    setTimeout(() => (element("copy").textContent = "Copy"), 1500);
  } catch {
    getSelection().selectAllChildren(element("code")); // to be copied by hand
    throw new Told("This browser does not let the page copy; the lines are selected.");
  }
}

function wire() {
  for (const id of Object.keys(amounts)) {
    element(id).addEventListener("input", ({ target }) => setAmount(id, target.value));
  }
  element("reset").addEventListener("click", () => {
    for (const [id, value] of Object.entries(NEUTRAL)) setAmount(id, value);
  });
  element("size").addEventListener("change", ({ target }) => {
    size = Number(target.value);
    taken.length = 0;
    refresh();
  });
  element("camera").addEventListener("click", () =>
    attempt(camera ? async () => stopCamera() : startCamera),
  );
  element("download").addEventListener("click", () => attempt(download));
  element("copy").addEventListener("click", () => attempt(copy));
  onFile("picture", openPicture);
  onFile("reference", addReference);
  acceptDrops();
}

function fail(text) {
  element("status").textContent = text;
  element("status").classList.add("failure");
}

async function start() {
  wire();
  try {
    const response = await fetch(`${MODEL}page.json`);
    if (!response.ok) throw new Error(response.statusText);
    page = await response.json();
  } catch {
    fail("This page was built without its network. In a clone of the project, run: make page");
    return;
  }
  element("about").textContent +=
    ` Twelve of the ${page.count.toLocaleString("en")} styles of the pack ${page.pack}.`;
  for (const style of page.styles) styles.add(style);
  for (const [id, value] of Object.entries(NEUTRAL)) setAmount(id, value);
  labelPad();
  await attempt(() => addParts(page.parts));
  try {
    const request = { folder: MODEL, cell: page.cell, threads: THREADS };
    ({ threads } = await client.call("open", request));
  } catch (error) {
    fail(`The network could not be started in this browser: ${error.message}.`);
    return;
  }
  ready = true;
  element("status").hidden = true;
  document.body.dataset.ready = "";
  refresh();
  drawThumbnails();
}

start();
