// The laboratory: each part of the page has a module, and a place `<div class="lab-part" data-part="...">`,
// in which a still picture stands until the part is there.
//
// A part is a function (place, lab) that fills its place; `lab` is {network, facts, frames, base}.

import { get } from "./network/fetching.js";
import { find } from "./find/find.js";
import { fooled } from "./fooled/fooled.js";
import { inside } from "./inside/inside.js";
import { knobs } from "./knobs/knobs.js";
import { Network } from "./network/network.js";
import { scores } from "./scores/scores.js";
import { el, status } from "./page/ui.js";

const PARTS = { find, knobs, inside, fooled, scores };
const NEEDED = ["WebAssembly", "Worker", "DecompressionStream", "OffscreenCanvas"];

async function begin() {
  const loading = status();
  loading.element.classList.add("lab-loading");
  document.querySelector(".lab-loading").replaceWith(loading.element);
  const missing = NEEDED.filter((name) => typeof globalThis[name] === "undefined");
  if (missing.length) {
    loading.fail(
      `this browser cannot compute here (it lacks ${missing.join(" and ")}); the pictures below show what you would see`,
    );
    document.documentElement.dataset.lab = "failed";
    return;
  }
  let network;
  try {
    const base = new URL(".", import.meta.url); // the files lie beside this module
    network = new Network(base, (bytes, of) => {
      loading.say(`Loading the network: ${megabytes(bytes)} of ${megabytes(of)} MB. It stays in your browser.`);
    });
    const [answer, facts] = await Promise.all([get(new URL("frames.json", base)), network.ready]);
    const lab = { network, facts, frames: await answer.json(), base };
    window.laboratory = lab; // for the curious: `await laboratory.network.look(...)` in the console
    for (const place of document.querySelectorAll(".lab-part")) mount(place, lab);
    loading.say("The network is here, in your browser. Whatever you show it stays on your machine: nothing is uploaded.");
    document.documentElement.dataset.lab = "ready";
  } catch (error) {
    network?.stop(); // its other files may still be coming
    loading.fail(`${error.message}. Reload the page to try again; the pictures below show what you would see.`);
    document.documentElement.dataset.lab = "failed";
  }
}

function mount(place, lab) {
  const part = el("div", { className: "lab-live" });
  PARTS[place.dataset.part](part, lab);
  place.replaceChildren(part);
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

begin();
