// How this process sleeps: everything that asks the kernel is synchronous.
const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Sleeps, with everything else of this process. */
export function pause(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds)
}
