// The hexadecimal digits in the names of a pod's chains. The plugins take a SHA-512 of network and container id; here they
// are a function of the pod's name alone, so that a golden never depends on anything else.

function fnv(text: string, seed: number): number {
  let hash = (0x811c_9dc5 ^ seed) >>> 0
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** `digits` hexadecimal digits of a name. */
export function chainHash(name: string, digits: number): string {
  let text = ''
  for (let round = 0; text.length < digits; round += 1) {
    text += fnv(name, Math.imul(round, 0x9e37_79b9)).toString(16).padStart(8, '0')
  }
  return text.slice(0, digits)
}
