// The exchanges that go through the filter: those of serin-bench, with what Envoy adds to them. The
// order of headers and of callbacks is what a trace of Envoy 1.40 shows (`component-log-level
// wasm:trace`).

import { readFileSync } from "node:fs";
import { MAP } from "./abi.mjs";
import { HeaderMap } from "./header_map.mjs";

const encoder = new TextEncoder();

/** What both benchmarks send. */
export function readLoad() {
  const file = new URL("../bench-load.json", import.meta.url);
  return JSON.parse(readFileSync(file, "utf8"));
}

/** A sequence of numbers below 2^32 that is the same in each run (Marsaglia's xorshift). */
export function random(seed = 0x9e3779b9) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/**
 * The exchanges of a load, each made anew: no request id comes twice. `vary(request, response, next)`
 * changes the header pairs of both, and may return `{body}` for a request's body.
 *
 * An exchange has `maps` by the ABI's number, `properties` by path with zero bytes between the parts,
 * `body`, `requestBody`, and `waitNs`, the time until the next one begins.
 */
export class Source {
  #load;
  #vary;
  #next = random();
  #at = 0;

  constructor(load, vary) {
    this.#load = load;
    this.#vary = vary;
  }

  take(count) {
    return Array.from({ length: count }, () => {
      this.#at += 1;
      return exchange(this.#load, this.#at, this.#next, this.#vary);
    });
  }
}

function exchange(load, index, next, vary) {
  const number = String(index % load.numbers).padStart(4, "0");
  const path = load.paths[index % load.paths.length].replace("{}", number);
  const hex = (digits) => next().toString(16).padStart(8, "0").slice(0, digits);
  const id = `${hex(8)}-${hex(4)}-4${hex(3)}-9${hex(3)}-${hex(8)}${hex(4)}`;
  const [host, ...headers] = load.request_headers;
  const request = [
    [":authority", host[1]],
    [":path", path],
    [":method", "GET"],
    [":scheme", "http"],
    ...headers,
    ["x-forwarded-proto", "http"],
    ["x-request-id", id],
  ];
  const response = [
    [":status", "200"],
    ...load.response_headers,
    ["content-length", String(load.body_bytes)],
    ["date", "Fri, 15 Jan 2027 08:00:00 GMT"],
    ["server", "envoy"],
    ["x-envoy-upstream-service-time", String(next() % 4)],
  ];
  const varied = vary?.(request, response, next) ?? {};
  const status = response.find(([name]) => name === ":status")[1];
  return {
    maps: {
      [MAP.requestHeaders]: new HeaderMap(request),
      [MAP.responseHeaders]: new HeaderMap(response),
    },
    properties: properties(cluster(load, next), index % load.connections, Number(status)),
    requestBody: varied.body,
    body: new Uint8Array(load.body_bytes).fill(0x78),
    waitNs: 60_000 + (next() % 130_000),
  };
}

function cluster(load, next) {
  const total = load.clusters.reduce((sum, one) => sum + one.weight, 0);
  let rest = next() % total;
  return load.clusters.find((one) => (rest -= one.weight) < 0).name;
}

function properties(clusterName, connection, status) {
  const number = (value) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    return bytes;
  };
  const of = {
    "xds.cluster_name": encoder.encode(clusterName),
    "xds.route_name": encoder.encode("shop"),
    // 2 is outbound.
    "xds.listener_direction": number(2),
    "upstream.address": encoder.encode("127.0.0.1:8080"),
    "upstream.request_attempt_count": number(1),
    "connection_id": number(connection),
    "source.address": encoder.encode("127.0.0.1:40000"),
    "response.code": number(status),
    "response.flags": number(0),
    "response.code_details": encoder.encode("via_upstream"),
  };
  return new Map(Object.entries(of).map(([path, value]) => [path.replaceAll(".", "\0"), value]));
}
