// The command line.

import { parseArgs } from "node:util";
import { MOST_ROUTES } from "./routes.mjs";
import { FRIENDLY, LOADS } from "./variety.mjs";

const list = Object.entries(LOADS)
  .map(([name, { what }]) => `    ${name.padEnd(18)}${what}`)
  .join("\n");

export const HELP = `Measures the wasm module alone: what one exchange costs in it, without a proxy.

  make bench-module
  node integration/module-bench/main.mjs [options]

A host in node answers the module as Envoy would, from tables, with the requests of serin-bench, and
counts exactly what the module asks for. Use it to see what a change is worth before it is tried in
Envoy (serin-bench): what a call costs on the proxy's side is not in these numbers.

  --module NAME=PATH  another filter with Serin's config; it has to account for every exchange
  --plain NAME=PATH   another filter that counts nothing, such as a no-op
  --looks N           exchanges a second that Serin looks at in full (0, all)
  --variety           loads that are not friendly, in place of other modules: each with all exchanges
                      looked at and with the default budget, and its ratio to the friendly load
  --routes N          the friendly load on so many routes, in place of other modules: what a tick takes and
                      how large the state, what workers read and what one hands over are. May be given
                      several times: --routes 10 --routes 100 --routes 1000. With the default 8000
                      exchanges a round, a route of 1000 has eight of them in a tick
  --load NAME         with --variety: the friendly load and this one; may be given several times
  --only              only those; not target/serin.wasm and target/noop.wasm
  --rounds N          rounds (40); in each, every module gets the same exchanges and one tick
  --requests N        exchanges per module and round (8000)
  --quick             3 rounds of 2000
  --profile           also print where the module's time goes, by function. A packed module has no
                      names: give a build that has (make bench-module PROFILE=1 does)
  --json              print everything as JSON
  --help              this page

Loads of --variety:
${list}

Module alone: V8's profiler says which part of the samples falls into the module in a run of its own;
that part of each round's processor time. Median and quartiles are over rounds. Allocations for the
host are calls of the module's malloc; what the module allocates inside shows in the profile only.

Exit codes: 0 measured; 1 a module cannot be loaded, or did not account for every exchange; 2 usage.
Needs node 20 or later: sudo apt-get install nodejs, or https://nodejs.org/en/download`;

const OPTIONS = {
  module: { type: "string", multiple: true, default: [] },
  plain: { type: "string", multiple: true, default: [] },
  looks: { type: "string", default: "0" },
  variety: { type: "boolean", default: false },
  load: { type: "string", multiple: true, default: [] },
  routes: { type: "string", multiple: true, default: [] },
  only: { type: "boolean", default: false },
  rounds: { type: "string", default: "40" },
  requests: { type: "string", default: "8000" },
  quick: { type: "boolean", default: false },
  profile: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

/** A mistake in the command line. */
export class Usage extends Error {}

/** What the user wants; `modules` are {name, path, counts}. */
export function read(args) {
  const values = parsed(args);
  const modules = [
    ...(values.only ? [] : ["noop=target/noop.wasm"].map((text) => module(text, false))),
    ...values.plain.map((text) => module(text, false)),
    ...(values.only ? [] : ["serin=target/serin.wasm"].map((text) => module(text, true))),
    ...values.module.map((text) => module(text, true)),
  ];
  if (modules.length === 0) {
    throw new Usage("--only without --module or --plain leaves nothing to measure");
  }
  if (values.variety && values.routes.length > 0) {
    throw new Usage("--variety and --routes are two tables: take one of them");
  }
  if ((values.variety || values.routes.length > 0) && !modules.some(({ counts }) => counts)) {
    throw new Usage("--variety and --routes need a filter with Serin's config: --module NAME=PATH");
  }
  if (values.load.length > 0 && !values.variety) {
    throw new Usage("--load chooses among the loads of --variety");
  }
  return {
    ...values,
    modules,
    loads: loads(values.load),
    routes: values.routes.map(routeCount),
    looks: values.looks === "0" ? 0 : whole("looks", values.looks),
    rounds: values.quick ? 3 : whole("rounds", values.rounds),
    requests: values.quick ? 2_000 : whole("requests", values.requests),
  };
}

function parsed(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new Usage(error.message);
  }
}

function module(text, counts) {
  const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined) {
    throw new Usage(`${text}: write it as NAME=PATH`);
  }
  return { name, path, counts };
}

function loads(wanted) {
  const unknown = wanted.find((name) => !(name in LOADS));
  if (unknown !== undefined) {
    throw new Usage(`--load ${unknown}: there are ${Object.keys(LOADS).join(", ")}`);
  }
  return wanted.length === 0 ? Object.keys(LOADS) : [...new Set([FRIENDLY, ...wanted])];
}

function routeCount(text) {
  const count = whole("routes", text);
  if (count > MOST_ROUTES) {
    throw new Usage(`--routes ${text}: at most ${MOST_ROUTES}`);
  }
  return count;
}

function whole(option, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) {
    throw new Usage(`--${option} ${text}: a whole number above 0 is needed`);
  }
  return number;
}
