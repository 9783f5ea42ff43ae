// A header map as Envoy hands it to a module: a count, the lengths of each name and value, then each
// name and value with a zero byte after it. All numbers are little-endian words of 32 bits.

const encoder = new TextEncoder();

export class HeaderMap {
  /** `pairs` are [name, value], names in lower case. Serialised once: it is shared by streams. */
  constructor(pairs) {
    this.pairs = pairs;
    this.bytes = serialise(pairs);
  }

  /** The value of the first header with this name; undefined where there is none. */
  get(name) {
    return this.pairs.find((pair) => pair[0] === name)?.[1];
  }

  with(name, value) {
    return new HeaderMap([...this.pairs, [name, value]]);
  }

  without(name) {
    return new HeaderMap(this.pairs.filter((pair) => pair[0] !== name));
  }

  replacing(name, value) {
    return this.without(name).with(name, value);
  }
}

function serialise(pairs) {
  const parts = pairs.flat().map((text) => encoder.encode(text));
  const head = 4 + 4 * parts.length;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 1, head));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, pairs.length, true);
  let at = head;
  parts.forEach((part, index) => {
    view.setUint32(4 + 4 * index, part.length, true);
    bytes.set(part, at);
    at += part.length + 1;
  });
  return bytes;
}
