// A proxy-wasm host without a proxy: it answers what a filter asks from tables, and counts each call,
// each byte that is copied and each allocation that it makes in the module.

import { BUFFER, LOG_LEVELS, MAP_NAMES, STATUS } from "./abi.mjs";
import { Clock } from "./clock.mjs";
import { SharedData } from "./shared_data.mjs";

/** Calls that are counted by what they ask for. */
const DETAILED = [
  "proxy_get_property",
  "proxy_get_header_map_pairs",
  "proxy_get_header_map_value",
];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What was counted since the last `take`. */
function noCounts() {
  return { calls: new Map(), bytesIn: 0, bytesOut: 0, mallocs: 0 };
}

export class Host {
  clock = new Clock();
  shared = new SharedData();
  metrics = new Map();
  /** The stream that calls concern; see `load.mjs` for its shape. */
  stream = undefined;
  streams = new Map();
  properties = new Map();
  configuration = new Uint8Array();
  tickMilliseconds = 0;
  logged = [];

  #counts = noCounts();
  #metricIds = [];
  #bytes;
  #view;
  #malloc;
  #memory;

  /** Attaches the module, before anything in it runs. */
  attach(exports) {
    this.#memory = exports.memory;
    this.#malloc = exports.malloc ?? exports.proxy_on_memory_allocate;
    this.#look();
  }

  /** Counts since the last call; begins anew. */
  take() {
    const counts = this.#counts;
    this.#counts = noCounts();
    return counts;
  }

  /** A property of the proxy: of every stream that has none of its own. */
  setProperty(path, value) {
    this.properties.set(path.join("\0"), value);
  }

  /** Sum over the series of a metric: their names end with it. */
  metric(name) {
    let sum;
    for (const [full, metric] of this.metrics) {
      if (full === name || full.endsWith(`;.;${name}`)) {
        sum = (sum ?? 0) + metric.value;
      }
    }
    return sum;
  }

  /** The functions that a module may import. One that is not here answers "unimplemented". */
  imports(wanted) {
    const known = this.#known();
    const env = {};
    for (const { module, name, kind } of wanted) {
      if (module !== "env" || kind !== "function") {
        throw new Error(`it imports ${module}.${name}, which no proxy-wasm host offers`);
      }
      const answer = known[name] ?? (() => STATUS.unimplemented);
      env[name] = DETAILED.includes(name) ? answer : this.#counted(name, answer);
    }
    return { env };
  }

  #counted(name, answer) {
    return (...values) => {
      this.#count(name);
      return answer(...values);
    };
  }

  #count(what) {
    const { calls } = this.#counts;
    calls.set(what, (calls.get(what) ?? 0) + 1);
  }

  #known() {
    return {
      proxy_log: (level, at, size) => {
        this.logged.push(`${LOG_LEVELS[level] ?? level}: ${this.#text(at, size)}`);
        return STATUS.ok;
      },
      proxy_get_current_time_nanoseconds: (at) => {
        this.#look();
        this.#view.setUint32(at, this.clock.low, true);
        this.#view.setUint32(at + 4, this.clock.high, true);
        this.#counts.bytesIn += 8;
        return STATUS.ok;
      },
      proxy_set_tick_period_milliseconds: (milliseconds) => {
        this.tickMilliseconds = milliseconds;
        return STATUS.ok;
      },
      // There is no cluster to ask.
      proxy_http_call: () => STATUS.badArgument,
      proxy_set_effective_context: (id) => {
        this.stream = this.streams.get(id);
        return STATUS.ok;
      },
      proxy_get_property: (at, size, outAt, outSize) => {
        const path = this.#text(at, size).replace(/\0$/, "");
        this.#count(`proxy_get_property ${path.replaceAll("\0", ".")}`);
        const value = this.stream?.properties.get(path) ?? this.properties.get(path);
        return value ? this.#hand(value, outAt, outSize) : STATUS.notFound;
      },
      proxy_set_property: (at, size, valueAt, valueSize) => {
        const path = this.#text(at, size).replace(/\0$/, "");
        const value = this.#copy(valueAt, valueSize);
        if (this.stream) {
          // Not among the load's own: the next stream finds them as they were.
          this.stream.properties = new Map(this.stream.properties).set(path, value);
        }
        return STATUS.ok;
      },
      proxy_get_buffer_bytes: (type, start, size, outAt, outSize) => {
        const whole = this.#buffer(type);
        return whole
          ? this.#hand(whole.subarray(start, start + size), outAt, outSize)
          : STATUS.notFound;
      },
      ...this.#mapCalls(),
      ...this.#sharedCalls(),
      ...this.#metricCalls(),
    };
  }

  #mapCalls() {
    const change = (type, nameAt, nameSize, how) => {
      const map = this.stream?.maps[type];
      if (!map) {
        return STATUS.badArgument;
      }
      const name = this.#text(nameAt, nameSize);
      const changed = how(map, name);
      if (changed !== map) {
        // Not of the load's own stream: the next one finds the map as it was.
        this.stream.maps = { ...this.stream.maps, [type]: changed };
      }
      return STATUS.ok;
    };
    return {
      proxy_get_header_map_pairs: (type, outAt, outSize) => {
        this.#count(`proxy_get_header_map_pairs ${MAP_NAMES[type] ?? type}`);
        const map = this.stream?.maps[type];
        return map ? this.#hand(map.bytes, outAt, outSize) : STATUS.badArgument;
      },
      proxy_get_header_map_value: (type, nameAt, nameSize, outAt, outSize) => {
        const name = this.#text(nameAt, nameSize);
        this.#count(`proxy_get_header_map_value ${name}`);
        const value = this.stream?.maps[type]?.get(name);
        return value === undefined
          ? STATUS.notFound
          : this.#hand(encoder.encode(value), outAt, outSize);
      },
      proxy_remove_header_map_value: (type, nameAt, nameSize) =>
        change(type, nameAt, nameSize, (map, name) =>
          map.get(name) === undefined ? map : map.without(name),
        ),
      proxy_add_header_map_value: (type, nameAt, nameSize, valueAt, valueSize) => {
        const value = this.#text(valueAt, valueSize);
        return change(type, nameAt, nameSize, (map, name) => map.with(name, value));
      },
      proxy_replace_header_map_value: (type, nameAt, nameSize, valueAt, valueSize) => {
        const value = this.#text(valueAt, valueSize);
        return change(type, nameAt, nameSize, (map, name) => map.replacing(name, value));
      },
    };
  }

  #sharedCalls() {
    return {
      proxy_get_shared_data: (keyAt, keySize, outAt, outSize, outNumber) => {
        const found = this.shared.get(this.#text(keyAt, keySize));
        if (!found) {
          return STATUS.notFound;
        }
        const status = this.#hand(found.bytes, outAt, outSize);
        this.#view.setUint32(outNumber, found.number, true);
        return status;
      },
      proxy_set_shared_data: (keyAt, keySize, valueAt, valueSize, number) =>
        this.shared.set(this.#text(keyAt, keySize), this.#copy(valueAt, valueSize), number),
    };
  }

  #metricCalls() {
    const of = (id, how) => {
      const metric = this.#metricIds[id];
      if (!metric) {
        return STATUS.notFound;
      }
      how(metric);
      return STATUS.ok;
    };
    return {
      proxy_define_metric: (_kind, at, size, outId) => {
        const name = this.#text(at, size);
        if (!this.metrics.has(name)) {
          const metric = { id: this.#metricIds.length, value: 0 };
          this.#metricIds.push(metric);
          this.metrics.set(name, metric);
        }
        this.#look();
        this.#view.setUint32(outId, this.metrics.get(name).id, true);
        return STATUS.ok;
      },
      proxy_increment_metric: (id, amount) =>
        of(id, (metric) => {
          metric.value += Number(amount);
        }),
      proxy_record_metric: (id, value) =>
        of(id, (metric) => {
          metric.value = Number(value);
        }),
    };
  }

  #buffer(type) {
    switch (type) {
      case BUFFER.pluginConfiguration:
        return this.configuration;
      case BUFFER.requestBody:
        return this.stream?.requestBody;
      case BUFFER.responseBody:
        return this.stream?.body;
      default:
        return undefined;
    }
  }

  /** Gives the module a copy of `bytes`, in memory that the module allocates. */
  #hand(bytes, outAt, outSize) {
    let at = 0;
    if (bytes.length > 0) {
      this.#counts.mallocs += 1;
      at = this.#malloc(bytes.length);
      this.#look();
      this.#bytes.set(bytes, at);
    }
    this.#view.setUint32(outAt, at, true);
    this.#view.setUint32(outSize, bytes.length, true);
    this.#counts.bytesIn += bytes.length;
    return STATUS.ok;
  }

  #text(at, size) {
    this.#look();
    this.#counts.bytesOut += size;
    return decoder.decode(this.#bytes.subarray(at, at + size));
  }

  #copy(at, size) {
    this.#look();
    this.#counts.bytesOut += size;
    return this.#bytes.slice(at, at + size);
  }

  /** A module's memory that grows lies elsewhere. */
  #look() {
    if (this.#bytes?.buffer !== this.#memory.buffer) {
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#view = new DataView(this.#memory.buffer);
    }
  }
}
