// What is printed.

/** Functions of the profile that are shown. */
const SHOWN = 25;

const short = (name) => name.replace(/^proxy_/, "");

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, index) => (index === 0 ? "---" : "---:"));
  return [head, rule, ...rows].map(line).join("\n");
}

const range = ({ low, median, high }, digits = 0) =>
  `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;

/** The tables of a report, as Markdown. */
export function text(report) {
  const { modules } = report;
  const names = modules.map((module) => module.name);
  const row = (name, of) => [name, ...modules.map(of)];
  const calls = [...new Set(modules.flatMap((module) => Object.keys(module.host_calls)))].sort();
  const number = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(3));
  const rows = [
    ...calls.map((call) => row(short(call), (module) => number(module.host_calls[call] ?? 0))),
    row("host calls in all", (module) => number(module.host_calls_in_all)),
    row("bytes into the module", (module) => module.bytes_in.toFixed(1)),
    row("bytes out of the module", (module) => module.bytes_out.toFixed(1)),
    row("allocations for the host", (module) => number(module.mallocs)),
    row("module alone, ns", (module) => range(module.module_ns)),
    row("with this host, ns", (module) => range(module.with_host_ns)),
    row("a tick, us", (module) => range(module.tick_us)),
    row("exchanges that it counted", (module) =>
      module.counted === undefined ? "-" : `${module.counted} of ${module.exchanges}`,
    ),
  ];
  return table(["per exchange", ...names], rows);
}

/** The table of loads, as Markdown. */
export function varietyText({ modules }) {
  const rows = modules.map((module) => [
    module.load,
    module.name,
    module.looks_per_second === 0 ? "all" : module.looks_per_second,
    range(module.module_ns),
    range(module.to_friendly, 2),
    range(module.tick_us),
    range(module.tick_to_friendly, 2),
  ]);
  const head = ["load", "module", "looks a second", "module alone, ns", "to friendly"];
  return table([...head, "a tick, us", "to friendly"], rows);
}

/** The table of numbers of routes, as Markdown. */
export function routesText({ modules }) {
  const rows = modules.map((module) => {
    const { state, publication, handed_over: handedOver } = module.shared_bytes;
    return [
      module.routes,
      module.name,
      range(module.module_ns),
      range(module.tick_us),
      ((module.tick_us.median * 100) / module.routes).toFixed(0),
      state,
      publication,
      handedOver,
    ];
  });
  const times = ["module alone, ns", "a tick, us", "per 100 routes"];
  const bytes = ["state, bytes", "publication, bytes", "handed over, bytes"];
  return table(["routes", "module", ...times, ...bytes], rows);
}

/** The functions in which the module's time goes, as Markdown. */
export function profile({ modules }) {
  return modules
    .map((module) => {
      const rows = module.functions
        .slice(0, SHOWN)
        .map(({ name, share }) => [
          `\`${name}\``,
          (100 * share).toFixed(1),
          (share * module.module_ns.median).toFixed(0),
        ]);
      const load = module.load ? `, ${module.load}, looks ${module.looks_per_second}` : "";
      return `${module.name}${load}\n\n${table(["function", "% of the module", "ns"], rows)}`;
    })
    .join("\n\n");
}
