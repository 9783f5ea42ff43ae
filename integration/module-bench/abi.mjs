// Numbers of the proxy-wasm ABI 0.2.1 that the host needs.

export const STATUS = {
  ok: 0,
  notFound: 1,
  badArgument: 2,
  casMismatch: 8,
  unimplemented: 12,
};

export const BUFFER = { requestBody: 0, responseBody: 1, pluginConfiguration: 7 };

export const MAP = { requestHeaders: 0, responseHeaders: 2 };

export const MAP_NAMES = {
  0: "request",
  1: "request trailers",
  2: "response",
  3: "response trailers",
};

export const ACTION = { continue: 0 };

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "critical"];
