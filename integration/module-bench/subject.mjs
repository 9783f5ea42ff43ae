// What is measured: a module that gets a load, with a configuration.

import { readFileSync } from "node:fs";
import { Filter } from "./filter.mjs";
import { quartiles, sample } from "./measure.mjs";
import { sharedBytes } from "./routes.mjs";

/** Ticks after the last exchange: one hands over what was counted, one merges it. */
const LAST_TICKS = 3;

const compiled = new Map();

function compile(path) {
  let code;
  try {
    code = readFileSync(path);
  } catch (error) {
    throw new Error(`${error.message}; make wasm noop-wasm builds both modules`);
  }
  const module = compiled.get(path) ?? new WebAssembly.Module(code);
  compiled.set(path, module);
  return module;
}

export class Subject {
  /** `module` is {name, path, counts}: `counts` where it has to account for every exchange. */
  constructor(module, load, source, config) {
    const { name, path, counts } = module;
    this.module = module;
    this.source = source;
    const code = compile(path);
    try {
      this.filter = new Filter(code, counts ? { ...load.serin_config, ...config } : {}, load);
    } catch (error) {
      throw new Error(`${name} (${path}): ${error.message}`);
    }
  }

  /**
   * What the module says that it counted and its leader merged. A module that lost exchanges, or did
   * not understand them, may have been cheap for that reason.
   */
  counted() {
    const { filter, module } = this;
    filter.drain();
    for (let tick = 0; tick < LAST_TICKS; tick += 1) {
      filter.tick();
    }
    const metric = (name) => filter.host.metric(name) ?? 0;
    const looked = metric("serin_exchanges_total");
    const merged = metric("serin_merged_exchanges");
    const known = looked + metric("serin_cases_total") + metric("serin_not_looked_at_total");
    if (known !== filter.ended || merged !== looked) {
      const log = filter.host.logged.slice(-5).join("\n");
      const found = `serin_exchanges_total is ${looked}, ${merged} merged, ${known} known in all`;
      throw new Error(`${module.name}: ${found}, after ${filter.ended} exchanges\n${log}`);
    }
    return filter.ended;
  }

  /** The report on it, from its `reading`; `sampled` exchanges go under the profiler. */
  async report(reading, sampled, requests) {
    const { module, filter } = this;
    const profile = await sample(this, sampled, requests);
    const { calls, bytesIn, bytesOut, mallocs } = reading.counts;
    const moduleNs = reading.exchangeNs.map((ns) => ns * profile.share);
    return {
      name: module.name,
      path: module.path,
      host_calls: calls,
      host_calls_in_all: Object.values(calls).reduce((sum, count) => sum + count, 0),
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      mallocs,
      module_ns: quartiles(moduleNs),
      module_ns_by_round: moduleNs,
      with_host_ns: quartiles(reading.exchangeNs),
      tick_us: quartiles(reading.tickUs),
      tick_us_by_round: reading.tickUs,
      samples: profile.samples,
      functions: profile.functions,
      shared_bytes: sharedBytes(filter.host.shared),
      counted: module.counts ? this.counted() : undefined,
      exchanges: filter.ended,
    };
  }
}
