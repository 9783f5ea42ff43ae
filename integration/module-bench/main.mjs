// `make bench-module`: what one exchange costs in the module, without a proxy. `--help` says more.

import { readLoad, Source } from "./load.mjs";
import { measure, WARM_UP } from "./measure.mjs";
import { HELP, read, Usage } from "./options.mjs";
import { profile, routesText, text, varietyText } from "./report.mjs";
import { routes } from "./routes.mjs";
import { Subject } from "./subject.mjs";
import { LOADS, ratios } from "./variety.mjs";

/** Exchanges of each module under the profiler. */
const SAMPLED = 100_000;
/** The same where every load is sampled. */
const SAMPLED_VARIETY = 32_000;
/** Budgets of the table of loads: all exchanges are looked at, or as many a second as by default. */
const BUDGETS = [0, 1_000];

/** Room for routes that no path of the load has. */
const OTHER_ROUTES = 10;

const progress = (line) => process.stderr.write(`${line}\n`);

/** Measures the subjects of [{about, subject}]; their reports, each with what it is `about`. */
async function reports(rows, options, sampled) {
  const { rounds, requests, quick } = options;
  const subjects = rows.map(({ subject }) => subject);
  const readings = measure(subjects, rounds, requests, (line) => {
    if (!quick) {
      progress(line);
    }
  });
  const found = [];
  for (const [index, { about, subject }] of rows.entries()) {
    const words = [subject.module.name, ...Object.values(about)].join(" ");
    progress(`${words}: ${sampled} exchanges under the profiler`);
    found.push({ ...about, ...(await subject.report(readings[index], sampled, requests)) });
  }
  return found;
}

/** One load, all modules. */
async function modules(options, load) {
  const rows = options.modules.map((module) => ({
    about: {},
    subject: new Subject(module, load, new Source(load), { looks_per_second: options.looks }),
  }));
  return { modules: await reports(rows, options, options.quick ? options.requests : SAMPLED) };
}

/** All loads, each module that counts, with and without a budget. */
async function variety(options, load) {
  const rows = options.modules
    .filter(({ counts }) => counts)
    .flatMap((module) => BUDGETS.map((looks) => ({ module, looks })))
    .flatMap(({ module, looks }) =>
      options.loads.map((name) => ({
        about: { load: name, looks_per_second: looks },
        subject: new Subject(module, load, new Source(load, LOADS[name].vary), {
          looks_per_second: looks,
        }),
      })),
    );
  const sampled = options.quick ? options.requests : SAMPLED_VARIETY;
  return { modules: ratios(await reports(rows, options, sampled)) };
}

/** Each number of routes, each module that counts, every exchange looked at. */
async function byRoutes(options, load) {
  const rows = options.modules
    .filter(({ counts }) => counts)
    .flatMap((module) =>
      options.routes.map((count) => ({
        about: { routes: count },
        subject: new Subject(module, load, new Source(load, routes(count)), {
          looks_per_second: options.looks,
          routes: { max: Math.max(...options.routes) + OTHER_ROUTES },
        }),
      })),
    );
  return { modules: await reports(rows, options, options.requests) };
}

/** What is measured, and how it is printed. */
function table(options) {
  if (options.variety) {
    return [variety, varietyText];
  }
  return options.routes.length > 0 ? [byRoutes, routesText] : [modules, text];
}

async function run(options) {
  const [measured, written] = table(options);
  const found = await measured(options, readLoad());
  const { rounds, requests } = options;
  const report = { node: process.version, rounds, requests, warm_up: WARM_UP, ...found };
  if (options.json) {
    console.log(JSON.stringify(report, null, 2));
    return;
  }
  console.log(written(report));
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
