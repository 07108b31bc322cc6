// A square between four styles: where the handle is, is what they are mixed by.

const STEP = 0.05; // of the side, for a key
const WHEEL = 0.05; // of the strength, for a notch
const FINGER = 150; // pixels that a second finger moves from strength 0 to 1

const within = (value) => Math.min(1, Math.max(0, value));

export class Pad {
  #pad = document.getElementById("pad");
  #corners = [...document.querySelectorAll(".corners span")];
  #blend = document.getElementById("blend").getContext("2d");
  #pointers = new Map();
  #labels = ["", "", "", ""];
  #onMove;
  #onStrength;

  u = 0; // from left to right
  v = 0; // from top to bottom

  /** onMove is told that the handle moved; onStrength is given f of f(strength) = new strength. */
  constructor(onMove, onStrength) {
    this.#onMove = onMove;
    this.#onStrength = onStrength;
    this.#pad.addEventListener("pointerdown", (event) => this.#down(event));
    this.#pad.addEventListener("pointermove", (event) => this.#moved(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.#pad.addEventListener(name, (event) => this.#pointers.delete(event.pointerId));
    }
    this.#pad.addEventListener("keydown", (event) => this.#key(event));
    this.#pad.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        onStrength((strength) => strength - WHEEL * Math.sign(event.deltaY));
      },
      { passive: false },
    );
  }

  /** Bilinear: upper left, upper right, lower left, lower right. */
  get weights() {
    const { u, v } = this;
    return [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
  }

  /** Which corner is nearest. */
  get nearest() {
    return (this.u > 0.5) + 2 * (this.v > 0.5);
  }

  move(u, v) {
    this.u = within(u);
    this.v = within(v);
    this.#tell();
    this.#onMove();
  }

  toCorner(corner) {
    this.move(corner % 2, corner >> 1);
  }

  /** Names of the four, and their thumbnails (ImageData of one size) once there are some. */
  label(labels, thumbnails) {
    this.#labels = labels;
    this.#corners.forEach((corner, k) => (corner.textContent = labels[k]));
    this.#tell();
    if (thumbnails.every(Boolean)) this.#paint(thumbnails);
  }

  showStrength(strength) {
    this.#pad.style.setProperty("--strength", strength);
  }

  #tell() {
    this.#pad.style.setProperty("--u", this.u);
    this.#pad.style.setProperty("--v", this.v);
    const shares = this.weights
      .map((weight, k) => [Math.round(100 * weight), this.#labels[k]])
      .filter(([percent]) => percent)
      .map(([percent, label]) => `${percent} % ${label}`);
    this.#pad.setAttribute("aria-valuenow", Math.round(100 * this.u));
    this.#pad.setAttribute("aria-valuetext", shares.join(", "));
  }

  #down(event) {
    if (event.button) return;
    this.#pad.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event.clientY);
    this.#moved(event);
  }

  #moved(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) return;
    this.#pointers.set(event.pointerId, event.clientY);
    const [first] = this.#pointers.keys();
    if (event.pointerId !== first) {
      this.#onStrength((strength) => strength + (before - event.clientY) / FINGER);
      return;
    }
    const { left, top, width, height } = this.#pad.getBoundingClientRect();
    // fingers and mice report a constant
    if (event.pointerType === "pen" && event.pressure) this.#onStrength(() => event.pressure);
    this.move((event.clientX - left) / width, (event.clientY - top) / height);
  }

  #key(event) {
    const step = event.shiftKey ? STEP / 5 : STEP;
    const keys = {
      ArrowLeft: () => this.move(this.u - step, this.v),
      ArrowRight: () => this.move(this.u + step, this.v),
      ArrowUp: () => this.move(this.u, this.v - step),
      ArrowDown: () => this.move(this.u, this.v + step),
      Home: () => this.move(0.5, 0.5),
      "+": () => this.#onStrength((strength) => strength + WHEEL),
      "-": () => this.#onStrength((strength) => strength - WHEEL),
      ...Object.fromEntries([0, 1, 2, 3].map((k) => [String(k + 1), () => this.toCorner(k)])),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** What is under the handle is about what it gives: the thumbnails, mixed as pixels. */
  #paint(thumbnails) {
    const { width, height } = thumbnails[0];
    const image = new ImageData(width, height);
    for (let y = 0, k = 0; y < height; y++) {
      for (let x = 0; x < width; x++, k += 4) {
        const [u, v] = [x / (width - 1), y / (height - 1)];
        const weights = [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
        for (let channel = 0; channel < 4; channel++) {
          let sum = 0;
          for (let c = 0; c < 4; c++) sum += weights[c] * thumbnails[c].data[k + channel];
          image.data[k + channel] = sum;
        }
      }
    }
    this.#blend.canvas.width = width;
    this.#blend.canvas.height = height;
    this.#blend.putImageData(image, 0, 0);
  }
}
