// The page's side of the network: ask, and get a promise of the answer.

import { mirror } from "./pixels.js";

export class Network {
  // `base` is the address of the laboratory's files; `onProgress(bytes, of)` is called while they load.
  constructor(base, onProgress = () => {}) {
    this.base = base;
    this.waiting = new Map();
    this.count = 0;
    this.onProgress = onProgress;
    this.worker = new Worker(new URL("worker.js", base), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#hear(data);
    this.worker.onerror = (event) => this.#fail(event.message || "its program could not be loaded");
    this.ready = this.#ask("load", { base: String(base) }).then((facts) => (this.facts = facts));
  }

  #ask(kind, message) {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, kind, ...message });
    });
  }

  #hear(message) {
    if ("progress" in message) return this.onProgress(message.progress, message.of);
    const { resolve, reject } = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if ("error" in message) reject(new Error(message.error));
    else resolve(message.answer);
  }

  #fail(reason) {
    for (const { reject } of this.waiting.values()) reject(new Error(reason));
    this.waiting.clear();
  }

  // Logits of one level, Float32Array (height x width of the network), and the milliseconds it took.
  async look(pixels, level) {
    await this.ready;
    return this.#ask("look", { pixels, level: level ?? this.facts.depth });
  }

  // All levels (an array, L1 first) and the nodes in `keep` ("1_2" is X[1][2]), with a gate for each wire.
  async inside(pixels, gates, keep = []) {
    await this.ready;
    return this.#ask("inside", { pixels, gates: gates ?? this.openGates(), keep });
  }

  // The pixels as `spoil` of spoil.js makes them: not the network's work, but too much for the page's own thread.
  async spoil(pixels, shape, knobs) {
    await this.ready;
    return this.#ask("spoil", { pixels, shape, knobs });
  }

  openGates() {
    return new Float32Array(this.facts.wires.length).fill(1);
  }

  // The logits of the four mirrorings, each mirrored back, and the milliseconds of all.
  async lookFourTimes(pixels, level) {
    await this.ready;
    const [height, width] = this.facts.size;
    const maps = [];
    let milliseconds = 0;
    for (const [across, down] of [[false, false], [true, false], [false, true], [true, true]]) {
      const answer = await this.look(mirror(pixels, height, width, 3, across, down), level);
      maps.push(mirror(answer.logits, height, width, 1, across, down));
      milliseconds += answer.milliseconds;
    }
    return { maps, milliseconds };
  }
}
