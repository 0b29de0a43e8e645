// Bytes that a person writes as hex digits: payloads, options, whole frames.
import { type Span, textOf } from '../../base/text.ts'
import { hexToBytes } from '../../net/hex.ts'
import { isMalformed } from '../../net/malformed.ts'
import type { Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { Scope } from './scope.ts'

/** Bytes from hex digits. */
export function hexIn(word: Word, { report }: Scope): Uint8Array | undefined {
  const bytes = hexToBytes(word.text)
  if (!isMalformed(bytes)) return bytes
  const digits = wrongDigits(word)
  if (digits === undefined)
    report(mistakeIn('S142', word, 'these are no hex bytes', { hint: bytes.malformed }))
  else {
    const hint = 'a byte has two hex digits'
    report(mistake('S142', digits, `\`${textOf(digits)}\` is not made of hex bytes`, { hint }))
  }
  return undefined
}

/** The first digits of a frame, as written, that are no bytes. */
function wrongDigits({ span, parts, form }: Word): Span | undefined {
  if (parts.length > 0 || form === 'bare') return undefined
  const written = textOf(span)
  for (const { 0: digits, index } of written.matchAll(/[^\s:_"]+/g)) {
    if (/^(0x)?([0-9a-f]{2})*$/i.test(digits)) continue
    return { source: span.source, start: span.start + index, end: span.start + index + digits.length }
  }
  return undefined
}
