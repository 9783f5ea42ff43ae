// V8's own sampling profiler, by function.

import { Session } from "node:inspector/promises";
import { readable } from "./names.mjs";

const INTERVAL_US = 100;
/** What V8 calls the time in which nothing of ours runs. */
const OUTSIDE = ["(idle)", "(root)"];

export class Profiler {
  #session = new Session();
  #byFunction = new Map();
  #inWasm = 0;
  #all = 0;

  static async start() {
    const profiler = new Profiler();
    const session = profiler.#session;
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    return profiler;
  }

  /** Samples `work`, and nothing else. */
  async during(work) {
    await this.#session.post("Profiler.start");
    work();
    const { profile } = await this.#session.post("Profiler.stop");
    this.#add(profile);
  }

  /**
   * `share`, the part of the samples that fell into wasm, `samples`, and `functions`, [{name, share}]
   * of the samples in wasm, largest first.
   */
  stop() {
    this.#session.disconnect();
    const functions = [...this.#byFunction]
      .map(([name, hits]) => ({ name, share: hits / Math.max(this.#inWasm, 1) }))
      .sort((a, b) => b.share - a.share);
    return { share: this.#inWasm / Math.max(this.#all, 1), samples: this.#all, functions };
  }

  #add({ nodes }) {
    for (const { callFrame, hitCount } of nodes) {
      if (OUTSIDE.includes(callFrame.functionName)) {
        continue;
      }
      this.#all += hitCount;
      if (callFrame.url.startsWith("wasm://")) {
        this.#inWasm += hitCount;
        const name = plain(callFrame.functionName);
        this.#byFunction.set(name, (this.#byFunction.get(name) ?? 0) + hitCount);
      }
    }
  }
}

/** V8 makes one way out for all imports of a type, and names it after one of them. */
function plain(name) {
  return readable(name.replace(/^(wasm-to-js:[a-z:]*).*/, "$1"));
}
