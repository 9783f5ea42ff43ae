// Rounds: each module gets the same exchanges in each of them, one after the other, and a tick at its
// end.

import { Profiler } from "./profile.mjs";

/** Exchanges before anything is measured: V8 compiles in earnest after some thousands. */
export const WARM_UP = 16_000;

/** Processor time of this process, ns: others that have the core do not count. */
function now() {
  const { user, system } = process.cpuUsage();
  return 1_000 * (user + system);
}

/**
 * Runs `rounds` rounds; gives for each subject, a `filter` and the `source` of its exchanges, what was
 * measured, in their order. Exchanges are made before the clock is read.
 */
export function measure(subjects, rounds, requests, progress) {
  const readings = subjects.map(() => ({ exchangeNs: [], tickUs: [], counts: undefined }));
  for (const { filter, source } of subjects) {
    for (let rest = WARM_UP; rest > 0; rest -= requests) {
      filter.run(source.take(Math.min(requests, rest)));
      filter.tick();
    }
  }
  for (let round = 1; round <= rounds; round += 1) {
    subjects.forEach(({ filter, source }, index) => {
      const reading = readings[index];
      const exchanges = source.take(requests);
      filter.host.take();
      const begun = now();
      filter.run(exchanges);
      reading.exchangeNs.push((now() - begun) / requests);
      reading.counts ??= perExchange(filter.host.take(), requests);
      // What this host has left lying about is not a tick's.
      globalThis.gc?.();
      const beforeTick = now();
      filter.tick();
      reading.tickUs.push((now() - beforeTick) / 1_000);
    });
    progress(`round ${round} of ${rounds}`);
  }
  return readings;
}

function perExchange(counts, requests) {
  const calls = [...counts.calls]
    .filter(([, count]) => count > 0)
    .map(([name, count]) => [name, count / requests]);
  return {
    calls: Object.fromEntries(calls),
    bytesIn: counts.bytesIn / requests,
    bytesOut: counts.bytesOut / requests,
    mallocs: counts.mallocs / requests,
  };
}

/**
 * The part of an exchange's time that is spent in the module and not in this host, from samples of
 * `total` exchanges, `requests` between two ticks; and the functions in which it is spent.
 */
export async function sample({ filter, source }, total, requests) {
  const profiler = await Profiler.start();
  for (let rest = total; rest > 0; rest -= requests) {
    const exchanges = source.take(Math.min(requests, rest));
    await profiler.during(() => filter.run(exchanges));
    filter.tick();
  }
  return profiler.stop();
}

/** First quartile, median and third quartile. */
export function quartiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part) => {
    const place = part * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return low + (high - low) * (place - Math.floor(place));
  };
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}
