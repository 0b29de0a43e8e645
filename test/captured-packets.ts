// Packets that scapy built (scripts/make-net-fixtures.py), for tests that want bytes of another implementation.
import { readFileSync } from 'node:fs'
import { bytesOfHex } from './bytes-of-hex.ts'

const fixture = new URL('../src/net/fixtures/scapy.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  readonly cases: readonly { readonly name: string; readonly hex: string }[]
}

/** All of them, each with what it shows. They start with an Ethernet header, but for one that is shorter. */
export const captures: readonly { readonly name: string; readonly bytes: Uint8Array }[] = cases.map(
  ({ name, hex }) => ({ name, bytes: bytesOfHex(hex) }),
)

/** A copy of the packet with this name. */
export function capture(name: string): Uint8Array {
  const found = captures.find((each) => each.name === name)
  if (found === undefined) throw new Error(`no captured packet ${name}`)
  return found.bytes.slice()
}
