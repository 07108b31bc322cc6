// The two pictures, one above the other, and the divider between them.

const STEP = 0.02; // of the width, for a key

export class View {
  #stage = document.getElementById("stage");
  #before = document.getElementById("before");
  #after = document.getElementById("after");
  #divider = document.getElementById("divider");
  #place = 0.5;

  constructor() {
    this.divide(this.#place);
    this.#stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.#stage.setPointerCapture(event.pointerId);
      this.#follow(event);
    });
    this.#stage.addEventListener("pointermove", (event) => {
      if (this.#stage.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
    const keys = {
      ArrowLeft: () => this.#place - STEP,
      ArrowDown: () => this.#place - STEP,
      ArrowRight: () => this.#place + STEP,
      ArrowUp: () => this.#place + STEP,
      Home: () => 0,
      End: () => 1,
    };
    this.#divider.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      this.divide(keys[event.key]());
    });
  }

  #follow(event) {
    const { left, width } = this.#stage.getBoundingClientRect();
    this.divide((event.clientX - left) / width);
  }

  /** Move the divider, to a share of the width. */
  divide(place) {
    this.#place = Math.min(1, Math.max(0, place));
    const percent = Math.round(100 * this.#place);
    this.#stage.style.setProperty("--place", this.#place);
    this.#divider.setAttribute("aria-valuenow", percent);
    this.#divider.setAttribute("aria-valuetext", `${percent} % of the picture is before`);
  }

  /** Show a frame (ImageData), and what was made of it. */
  show(frame, restyled = frame) {
    const { width, height } = frame;
    for (const canvas of [this.#before, this.#after]) {
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
    }
    this.#stage.style.setProperty("--aspect", width / height);
    this.#before.getContext("2d").putImageData(frame, 0, 0);
    this.#after.getContext("2d").putImageData(restyled, 0, 0);
  }

  /** The restyled picture as a PNG. */
  toBlob() {
    return new Promise((resolve) => this.#after.toBlob(resolve, "image/png"));
  }
}
