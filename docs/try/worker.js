// The network in a thread of its own, so that the page answers while it computes.

import { Network } from "./network.js";

let network;
let last = Promise.resolve(); // a session computes one picture at a time

const TASKS = {
  async open({ folder, cell, threads }) {
    network = new Network(folder, cell, threads);
    await network.open();
    return { threads: network.threads };
  },
  async restyle(request) {
    return { pixels: await network.restyle(request) };
  },
  async encode(request) {
    return { code: await network.encode(request) };
  },
};

self.onmessage = ({ data: { id, task, request } }) => {
  last = last.then(async () => {
    try {
      const answer = await TASKS[task](request);
      self.postMessage({ id, answer }, answer.pixels ? [answer.pixels.buffer] : []);
    } catch (error) {
      self.postMessage({ id, error: error?.message || String(error) });
    }
  });
};
