/** A UUID of version 4 (RFC 9562) of four words, of which each counts as 32 bits. */
export function uuid(word: (index: number) => number): string {
  const hex = [0, 1, 2, 3].map((index) => (word(index) >>> 0).toString(16).padStart(8, '0')).join('')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}
