// CRC32c (Castagnoli), the checksum of SCTP (RFC 9260 appendix A). The polynomial is reflected; a table of one entry per
// byte value is made once, when the first SCTP packet asks for it.

const polynomial = 0x82f6_3b78

let table: Uint32Array | undefined

function makeTable(): Uint32Array {
  const entries = new Uint32Array(256)
  for (let value = 0; value < 256; value += 1) {
    let crc = value
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    entries[value] = crc
  }
  return entries
}

/** The CRC of `bytes[start, end)` as an unsigned number, with the four bytes at `zeroAt` taken as zero. */
export function crc32c(bytes: Uint8Array, start: number, end: number, zeroAt = -1): number {
  table ??= makeTable()
  let crc = 0xffff_ffff
  for (let offset = start; offset < end; offset += 1) {
    const masked = zeroAt >= 0 && offset >= zeroAt && offset < zeroAt + 4
    const byte = masked ? 0 : (bytes[offset] as number)
    crc = (table[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
  }
  return ~crc >>> 0
}
