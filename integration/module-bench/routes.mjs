// Loads with many routes: the friendly load, with a path that is one of so many, each asked for as often
// as the others.

/** Names that stand side by side: Serin takes more than 32 of them for values of one place. */
const NAMES = [
  "users",
  "carts",
  "prices",
  "stock",
  "orders",
  "search",
  "media",
  "mail",
  "taxes",
  "offers",
];

/** Most routes: the paths have as many levels as there are digits in the number. */
export const MOST_ROUTES = 1_000;

/** What of the module's shared data is told: the end of its key, and its name in the report. */
const SHARED = { state: "/state", publication: "/verdict", handed_over: "/delta/0" };

function path(number) {
  const digits = [...String(number).padStart(3, "0")].map(Number);
  return `/${digits.map((digit) => NAMES[digit]).join("/")}`;
}

/** Changes the path of each exchange: one route of `count` after the other. */
export function routes(count) {
  let at = 0;
  return (request) => {
    const place = request.find(([name]) => name === ":path");
    place[1] = path(at);
    at = (at + 1) % count;
  };
}

/** Bytes of what the module keeps and hands on in shared data, by what it is. */
export function sharedBytes(shared) {
  const sizes = Object.entries(SHARED).map(([name, end]) => [name, shared.bytesOf(end)]);
  return Object.fromEntries(sizes);
}
