// Readable names of Rust functions: the compiler's older mangling is a list of lengths and parts.

const SIGNS = {
  LT: "<",
  GT: ">",
  RF: "&",
  BP: "*",
  C: ",",
  LP: "(",
  RP: ")",
  SP: "@",
};

/** The name as one would write it, without the compiler's hash; any other name as it is. */
export function readable(name) {
  const parts = [];
  let rest = name.startsWith("_ZN") ? name.slice(3) : "";
  for (let found; (found = /^([0-9]+)/.exec(rest)); ) {
    const begin = found[1].length;
    const end = begin + Number(found[1]);
    parts.push(rest.slice(begin, end));
    rest = rest.slice(end);
  }
  if (parts.length === 0 || !rest.startsWith("E")) {
    return name;
  }
  const path = parts.filter((part) => !/^h[0-9a-f]{16}$/.test(part));
  return path.map(unescaped).join("::");
}

function unescaped(part) {
  return part
    .replace(/^_\$/, "$")
    .replace(/\$u([0-9a-f]+)\$/g, (_, code) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/\$([A-Z]+)\$/g, (whole, sign) => SIGNS[sign] ?? whole)
    .replaceAll("..", "::");
}
