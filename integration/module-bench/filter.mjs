// One filter at work: its life from the start to the last stream, in the order of Envoy's callbacks.

import { ACTION } from "./abi.mjs";
import { Host } from "./host.mjs";

const encoder = new TextEncoder();
const ROOT = 1;

export class Filter {
  host = new Host();
  /** Exchanges that have come to their end. */
  ended = 0;

  #nextId = ROOT + 1;
  #inFlight = [];
  #call;
  #connections;

  /** `module` is compiled; `config` is its configuration, an object. */
  constructor(module, config, load) {
    const { host } = this;
    this.#connections = load.connections;
    host.configuration = encoder.encode(JSON.stringify(config));
    host.setProperty(["plugin_name"], encoder.encode("serin"));
    const imports = host.imports(WebAssembly.Module.imports(module));
    const { exports } = new WebAssembly.Instance(module, imports);
    host.attach(exports);
    this.#call = callbacks(exports);
    exports._initialize?.();
    this.#call.contextCreate(ROOT, 0);
    this.#call.vmStart(ROOT, 0);
    if (!this.#call.configure(ROOT, host.configuration.length)) {
      throw new Error(`it refuses its configuration\n${host.logged.join("\n")}`);
    }
  }

  /** Begins and ends these exchanges; as many as there are connections are under way. */
  run(exchanges) {
    for (const exchange of exchanges) {
      this.#begin(exchange);
      if (this.#inFlight.length === this.#connections) {
        this.#end();
      }
    }
  }

  /** Ends what is under way. */
  drain() {
    while (this.#inFlight.length > 0) {
      this.#end();
    }
  }

  tick() {
    this.host.stream = undefined;
    this.#call.tick(ROOT);
  }

  #begin(sent) {
    const { host } = this;
    host.clock.advance(sent.waitNs);
    const stream = { ...sent, id: this.#nextId };
    this.#nextId += 1;
    host.stream = stream;
    host.streams.set(stream.id, stream);
    this.#call.contextCreate(stream.id, ROOT);
    const { maps, requestBody } = stream;
    const action = this.#call.requestHeaders(stream.id, maps[0].pairs.length, requestBody ? 0 : 1);
    if (action !== ACTION.continue) {
      throw new Error(`it holds request ${this.ended}`);
    }
    if (requestBody) {
      this.#call.requestBody(stream.id, requestBody.length, 1);
    }
    this.#inFlight.push(stream);
  }

  #end() {
    const { host } = this;
    const stream = this.#inFlight.shift();
    const { id } = stream;
    host.stream = stream;
    this.#call.responseHeaders(id, stream.maps[2].pairs.length, 0);
    // Envoy hands over the body as it came, and then that it is at its end.
    this.#call.responseBody(id, stream.body.length, 0);
    this.#call.responseBody(id, 0, 1);
    this.#call.log(id);
    this.#call.done(id);
    this.#call.delete(id);
    host.streams.delete(id);
    this.ended += 1;
  }
}

/** What the module exports; for what it does not, what Envoy takes its absence for. */
function callbacks(exports) {
  const or = (name, absent) => exports[name] ?? (() => absent);
  return {
    contextCreate: or("proxy_on_context_create"),
    vmStart: or("proxy_on_vm_start", 1),
    configure: or("proxy_on_configure", 1),
    tick: or("proxy_on_tick"),
    requestHeaders: or("proxy_on_request_headers", ACTION.continue),
    requestBody: or("proxy_on_request_body", ACTION.continue),
    responseHeaders: or("proxy_on_response_headers", ACTION.continue),
    responseBody: or("proxy_on_response_body", ACTION.continue),
    log: or("proxy_on_log"),
    done: or("proxy_on_done", 1),
    delete: or("proxy_on_delete"),
  };
}
