// The page's side of worker.js.

export class Client {
  #waiting = new Map();
  #worker;
  #failure;
  #count = 0;

  constructor() {
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data: { id, answer, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#failure = new Error(event.message || "a file of this page is missing");
      for (const { reject } of this.#waiting.values()) reject(this.#failure);
      this.#waiting.clear();
    };
  }

  /** Ask for a task; buffers in transfer are handed over, not copied. */
  call(task, request, transfer = []) {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, request }, transfer);
    });
  }
}
