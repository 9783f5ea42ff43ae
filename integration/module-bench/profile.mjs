// V8's own sampling profiler, by function.

import { Session } from "node:inspector/promises";
import { readable } from "./names.mjs";

const INTERVAL_US = 100;
/** What V8 calls the time in which nothing of ours runs. */
const OUTSIDE = ["(idle)", "(root)"];

/**
 * Profiles `work`: `share`, the part of the samples that fell into wasm, `samples`, and `functions`,
 * [{name, share}] of the samples in wasm, largest first.
 */
export async function wasmShare(work) {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    await session.post("Profiler.start");
    work();
    const { profile } = await session.post("Profiler.stop");
    return summary(profile);
  } finally {
    session.disconnect();
  }
}

function summary({ nodes }) {
  const byFunction = new Map();
  let inWasm = 0;
  let all = 0;
  for (const { callFrame, hitCount } of nodes) {
    if (OUTSIDE.includes(callFrame.functionName)) {
      continue;
    }
    all += hitCount;
    if (callFrame.url.startsWith("wasm://")) {
      inWasm += hitCount;
      const name = plain(callFrame.functionName);
      byFunction.set(name, (byFunction.get(name) ?? 0) + hitCount);
    }
  }
  const functions = [...byFunction]
    .map(([name, hits]) => ({ name, share: hits / Math.max(inWasm, 1) }))
    .sort((a, b) => b.share - a.share);
  return { share: inWasm / Math.max(all, 1), samples: all, functions };
}

/** V8 makes one way out for all imports of a type, and names it after one of them. */
function plain(name) {
  return readable(name.replace(/^(wasm-to-js:[a-z:]*).*/, "$1"));
}
