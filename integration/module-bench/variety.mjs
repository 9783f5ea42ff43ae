// Loads that are not friendly: of a client that makes everything new with each request, of an
// application that fails, of forms that are sent. Each changes the header pairs of the friendly load.

import { quartiles } from "./measure.mjs";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
/** Header names that a request has beside the usual ones. */
const NEW_NAMES = 3;
const FORM_BYTES = 512;

const encoder = new TextEncoder();

/** A word of 5 to 12 letters: no class of path segments takes it for a value. */
function word(next) {
  const letters = Array.from({ length: 5 + (next() % 8) }, () => LETTERS[next() % LETTERS.length]);
  return letters.join("");
}

function set(pairs, name, value) {
  const known = pairs.findIndex((pair) => pair[0] === name);
  pairs.splice(known < 0 ? pairs.length : known, 1, [name, value]);
}

/** Half the paths lie below one that exists; no two are the same. */
function path(request, next) {
  const segments = Array.from({ length: 1 + (next() % 5) }, () => word(next));
  const above = next() % 2 === 0 ? "/api/products" : "";
  set(request, ":path", `${above}/${segments.join("/")}?${word(next)}=${next()}`);
}

function session(request, next) {
  set(request, "cookie", `session=${next().toString(16)}${next().toString(16)}`);
}

function address(request, next) {
  const number = next();
  const parts = [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff);
  set(request, "x-forwarded-for", parts.join("."));
}

function names(request, next) {
  for (let count = 0; count < NEW_NAMES; count += 1) {
    request.push([`x-${word(next)}-${word(next)}`, word(next)]);
  }
}

/** A third of the answers are 4xx and a sixth 5xx, with the headers of an error page. */
function errors(response, next) {
  const draw = next() % 6;
  if (draw > 2) {
    return;
  }
  const status = draw === 0 ? [500, 502, 503][next() % 3] : [400, 401, 404, 429][next() % 4];
  set(response, ":status", String(status));
  set(response, "content-type", "text/html; charset=utf-8");
  set(response, "retry-after", "1");
}

function form(request, next) {
  set(request, ":method", "POST");
  request.push(["content-type", "application/x-www-form-urlencoded"]);
  request.push(["content-length", String(FORM_BYTES)]);
  return { body: encoder.encode(word(next).padEnd(FORM_BYTES, "x")) };
}

/** The load that the others are compared with. */
export const FRIENDLY = "friendly";

/** Every load by name. */
export const LOADS = {
  [FRIENDLY]: { what: "the load that is sent without --variety", vary: undefined },
  paths: { what: "each request has a new path", vary: (request, _, next) => path(request, next) },
  sessions: {
    what: "each has a new session cookie",
    vary: (request, _, next) => session(request, next),
  },
  addresses: {
    what: "each comes from a new address",
    vary: (request, _, next) => address(request, next),
  },
  names: {
    what: "each has three header names that no other has",
    vary: (request, _, next) => names(request, next),
  },
  errors: {
    what: "a third of the answers are 4xx, a sixth 5xx",
    vary: (_, response, next) => errors(response, next),
  },
  post: { what: "POST with a body of 512 bytes", vary: (request, _, next) => form(request, next) },
  hostile: {
    what: "new path, cookie, address and header names at once",
    vary: (request, _, next) => {
      path(request, next);
      session(request, next);
      address(request, next);
      names(request, next);
    },
  },
  "hostile-errors": {
    what: "the same as POST, with failures",
    vary: (request, response, next) => {
      LOADS.hostile.vary(request, response, next);
      errors(response, next);
      return form(request, next);
    },
  },
};

/**
 * The reports with `to_friendly` and `tick_to_friendly`: quartiles of the ratio, within the round, to
 * the friendly load of the same module and budget.
 */
export function ratios(reports) {
  return reports.map((report) => {
    const yardstick = reports.find(
      ({ name, looks_per_second: looks, load }) =>
        load === FRIENDLY && name === report.name && looks === report.looks_per_second,
    );
    const by = (key) =>
      quartiles(report[key].map((value, round) => value / yardstick[key][round]));
    return {
      ...report,
      to_friendly: by("module_ns_by_round"),
      tick_to_friendly: by("tick_us_by_round"),
    };
  });
}
