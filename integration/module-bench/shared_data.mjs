// Envoy's shared data: each value has a number, and a write that names another number is refused.
// The number 0 names none. The first write of a key takes no number, as in Envoy.

import { STATUS } from "./abi.mjs";

export class SharedData {
  #values = new Map();
  #next = 1;

  /** {bytes, number}, or undefined. */
  get(key) {
    return this.#values.get(key);
  }

  /** Bytes of the values whose keys end so. */
  bytesOf(end) {
    const found = [...this.#values].filter(([key]) => key.endsWith(end));
    return found.reduce((sum, [, { bytes }]) => sum + bytes.length, 0);
  }

  /** Writes `bytes`, which it keeps, if the value still has the `number`; a status. */
  set(key, bytes, number) {
    const known = this.#values.get(key);
    if (known && number !== 0 && number !== known.number) {
      return STATUS.casMismatch;
    }
    this.#values.set(key, { bytes, number: this.#next++ });
    return STATUS.ok;
  }
}
