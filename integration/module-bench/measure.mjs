// Rounds: each module gets the same exchanges in each of them, one after the other, and a tick at its
// end.

import { wasmShare } from "./profile.mjs";

/** Exchanges before anything is measured: V8 compiles in earnest after some thousands. */
export const WARM_UP = 16_000;

const now = () => Number(process.hrtime.bigint());

/** Runs `rounds` rounds; gives for each filter what was measured, in the order of `filters`. */
export function measure(filters, rounds, requests, progress) {
  const readings = filters.map(() => ({ exchangeNs: [], tickUs: [], counts: undefined }));
  for (const filter of filters) {
    filter.run(WARM_UP);
    filter.tick();
  }
  for (let round = 1; round <= rounds; round += 1) {
    filters.forEach((filter, index) => {
      const reading = readings[index];
      filter.host.take();
      const begun = now();
      filter.run(requests);
      reading.exchangeNs.push((now() - begun) / requests);
      reading.counts ??= perExchange(filter.host.take(), requests);
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
 * The part of an exchange's time that is spent in the module and not in this host, from samples; and
 * the functions in which it is spent.
 */
export async function sample(filter, requests) {
  const profile = await wasmShare(() => filter.run(requests));
  filter.tick();
  return profile;
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
