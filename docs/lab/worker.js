// The network, on a thread of its own so that the page stays responsive.
//
// Messages in:  {id, kind: "load", base}                              -> what network.json says
//               {id, kind: "look", pixels, level}                     -> {logits, milliseconds}
//               {id, kind: "inside", pixels, gates, keep: ["0_1"]}    -> {levels, nodes, milliseconds}
//               {id, kind: "spoil", pixels, shape, knobs}             -> pixels, see spoil.js
// Messages out: {id, answer} or {id, error}, and while loading {progress: bytes so far, of: bytes in all}.
//
// `pixels` is a Uint8Array, RGB, height x width x 3, of the network's own size; logits are a Float32Array of
// height x width. Requests are answered one by one, in the order they come.
import * as ort from "onnxruntime-web/wasm";

import { get } from "./network/fetching.js";
import { spoil } from "./knobs/spoil.js";

let base, facts, weights;
const sessions = {}; // by the name of their graph; each is a promise

async function fetchPacked(name, progress = () => {}) {
  const answer = await get(new URL(name, base));
  const chunks = [];
  let bytes = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    progress((bytes += value.length));
  }
  const content = new Blob(chunks);
  const [first, second] = new Uint8Array(await content.slice(0, 2).arrayBuffer());
  if (first !== 0x1f || second !== 0x8b) return new Uint8Array(await content.arrayBuffer()); // the server unpacked it
  const unpacked = content.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

async function load(message) {
  base = message.base;
  facts = await (await get(new URL("network.json", base))).json();
  const sofar = {};
  const report = (name) => (bytes) => {
    sofar[name] = bytes;
    postMessage({ progress: Object.values(sofar).reduce((a, b) => a + b, 0), of: facts.bytes });
  };
  const [wasm, numbers] = await Promise.all([
    fetchPacked("ort.wasm.gz", report("ort")),
    fetchPacked("weights.bin.gz", report("weights")),
  ]);
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1; // more need headers that a plain static server does not send
  ort.env.logLevel = "error";
  weights = numbers;
  await session("level_4");
  return facts;
}

function session(name) {
  sessions[name] ??= (async () =>
    ort.InferenceSession.create(await fetchPacked(`${name}.onnx.gz`), {
      executionProviders: ["wasm"],
      externalData: [{ path: "weights.bin", data: weights }],
    }))();
  sessions[name].catch(() => delete sessions[name]); // the next request tries again
  return sessions[name];
}

// Height x width x 3, as pictures are stored -> 1 x 3 x height x width, as networks want them.
function toTensor(pixels) {
  const [height, width] = facts.size;
  const area = height * width;
  const planes = new Uint8Array(3 * area);
  for (let i = 0; i < area; i++)
    for (let c = 0; c < 3; c++) planes[c * area + i] = pixels[3 * i + c];
  return new ort.Tensor("uint8", planes, [1, 3, height, width]);
}

async function look({ pixels, level }) {
  const network = await session(`level_${level}`);
  const image = toTensor(pixels);
  const start = performance.now();
  const output = (await network.run({ image }))[`level_${level}`];
  return { logits: output.data, milliseconds: performance.now() - start };
}

async function inside({ pixels, gates, keep }) {
  const network = await session("grid");
  const feeds = { image: toTensor(pixels), gates: new ort.Tensor("float32", gates, [gates.length]) };
  const levels = facts.levels.map((row) => `level_${row.level}`);
  const start = performance.now();
  const outputs = await network.run(feeds, [...levels, ...keep.map((node) => `X_${node}`)]);
  const milliseconds = performance.now() - start;
  const nodes = {};
  for (const node of keep) {
    const { data, dims } = outputs[`X_${node}`];
    nodes[node] = { data, channels: dims[1], height: dims[2], width: dims[3] };
  }
  return { levels: levels.map((name) => outputs[name].data), nodes, milliseconds };
}

const KINDS = { load, look, inside, spoil: async ({ pixels, shape, knobs }) => spoil(pixels, facts.size, shape, knobs) };
let queue = Promise.resolve();

onmessage = ({ data }) => {
  queue = queue.then(async () => {
    try {
      postMessage({ id: data.id, answer: await KINDS[data.kind](data) });
    } catch (error) {
      postMessage({ id: data.id, error: String(error?.message ?? error) });
    }
  });
};
