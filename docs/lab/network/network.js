// The page's side of the network: ask, and get a promise of the answer.

import { mirror } from "./pixels.js";

// A frame as it is, and mirrored: [left to right, upside down].
export const MIRRORINGS = [[false, false], [true, false], [false, true], [true, true]];

export class Network {
  // `base` is the address of the laboratory's files; `onProgress(bytes, of)` is called while they load.
  constructor(base, onProgress = () => {}) {
    this.waiting = new Map();
    this.count = 0;
    this.onProgress = onProgress;
    this.worker = new Worker(new URL("worker.js", base), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#hear(data);
    this.worker.onerror = (event) => this.#fail(event.message || "worker.js could not be loaded");
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

  // Likewise of the mirrored pixels, the logits mirrored back.
  async lookMirrored(pixels, [across, down], level) {
    await this.ready;
    const { logits, milliseconds } = await this.look(mirror(pixels, ...this.facts.size, 3, across, down), level);
    return { logits: mirror(logits, ...this.facts.size, 1, across, down), milliseconds };
  }

  // The logits of the four mirrorings, and the milliseconds of all.
  async lookFourTimes(pixels, level) {
    const maps = [];
    let total = 0;
    for (const mirroring of MIRRORINGS) {
      const { logits, milliseconds } = await this.lookMirrored(pixels, mirroring, level);
      maps.push(logits);
      total += milliseconds;
    }
    return { maps, milliseconds: total };
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

  // For good: nothing more is loaded, and nothing asked is answered.
  stop() {
    this.worker.terminate();
  }
}
