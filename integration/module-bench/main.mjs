// `make bench-module`: what one exchange costs in the module, without a proxy. `--help` says more.

import { readFileSync } from "node:fs";
import { Filter } from "./filter.mjs";
import { exchanges, readLoad } from "./load.mjs";
import { measure, quartiles, sample, WARM_UP } from "./measure.mjs";
import { HELP, read, Usage } from "./options.mjs";
import { profile, text } from "./report.mjs";

/** Exchanges of a run under the profiler. */
const SAMPLED = 100_000;
/** Ticks after the last exchange: one hands over what was counted, one merges it. */
const LAST_TICKS = 3;

function start({ name, path, counts }, load, list, looks) {
  let code;
  try {
    code = readFileSync(path);
  } catch (error) {
    throw new Error(`${error.message}; make wasm noop-wasm builds both modules`);
  }
  try {
    const module = new WebAssembly.Module(code);
    const config = { ...load.serin_config, looks_per_second: looks };
    return new Filter(module, counts ? config : {}, load, list);
  } catch (error) {
    throw new Error(`${name} (${path}): ${error.message}`);
  }
}

/**
 * What the module says that it counted and its leader merged. A module that lost exchanges, or did not
 * understand them, may have been cheap for that reason.
 */
function counted(name, filter) {
  filter.drain();
  for (let tick = 0; tick < LAST_TICKS; tick += 1) {
    filter.tick();
  }
  const [looked, merged, glanced, cases] = [
    "serin_exchanges_total",
    "serin_merged_exchanges",
    "serin_not_looked_at_total",
    "serin_cases_total",
  ].map((metric) => filter.host.metric(metric) ?? 0);
  if (looked + glanced + cases !== filter.ended || merged !== looked) {
    const log = filter.host.logged.slice(-5).join("\n");
    const found = `${looked} looked at and ${glanced} not, ${cases} cases, ${merged} merged`;
    throw new Error(`${name}: ${found}, after ${filter.ended} exchanges\n${log}`);
  }
  return filter.ended;
}

async function run(options) {
  const progress = (line) => process.stderr.write(`${line}\n`);
  const load = readLoad();
  const list = exchanges(load);
  const filters = options.modules.map((module) => start(module, load, list, options.looks));
  const { rounds, requests } = options;
  const readings = measure(filters, rounds, requests, (line) => {
    if (!options.quick) {
      progress(line);
    }
  });
  const modules = [];
  for (const [index, { name, path, counts }] of options.modules.entries()) {
    const [filter, reading] = [filters[index], readings[index]];
    progress(`${name}: ${options.quick ? requests : SAMPLED} exchanges under the profiler`);
    const sampled = await sample(filter, options.quick ? requests : SAMPLED);
    const calls = reading.counts.calls;
    modules.push({
      name,
      path,
      host_calls: calls,
      host_calls_in_all: Object.values(calls).reduce((sum, count) => sum + count, 0),
      bytes_in: reading.counts.bytesIn,
      bytes_out: reading.counts.bytesOut,
      mallocs: reading.counts.mallocs,
      module_ns: quartiles(reading.exchangeNs.map((ns) => ns * sampled.share)),
      with_host_ns: quartiles(reading.exchangeNs),
      tick_us: quartiles(reading.tickUs),
      samples: sampled.samples,
      functions: sampled.functions,
      counted: counts ? counted(name, filter) : undefined,
      exchanges: filter.ended,
    });
  }
  const report = { node: process.version, rounds, requests, warm_up: WARM_UP, modules };
  if (options.json) {
    console.log(JSON.stringify(report, null, 2));
    return;
  }
  console.log(text(report));
  if (options.profile) {
    console.log(`\n${profile(report)}`);
  }
}

try {
  const options = read(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
  } else {
    await run(options);
  }
} catch (error) {
  console.error(error.message);
  if (error instanceof Usage) {
    console.error("--help says how it is used");
  }
  process.exitCode = error instanceof Usage ? 2 : 1;
}
