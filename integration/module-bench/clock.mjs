// The host's clock: nanoseconds since 1970, moved by the driver, so that every run sees the same
// times. Two words of 32 bits, because a number of 53 bits is too short for it.

const WORD = 2 ** 32;
const START = 1_800_000_000n * 1_000_000_000n;

export class Clock {
  low = Number(START % BigInt(WORD));
  high = Number(START / BigInt(WORD));

  /** Moves on by less than four seconds. */
  advance(nanoseconds) {
    this.low += nanoseconds;
    if (this.low >= WORD) {
      this.low -= WORD;
      this.high += 1;
    }
  }
}
