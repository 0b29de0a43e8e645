// Marks and remarks: xt_mark.c, xt_connmark.c, xt_comment.c.
import type { MatchKind, MatchSpec } from '../extension.ts'
import { bang, formatMasked, parseMasked } from '../values.ts'
import { quoteWord } from '../words.ts'
import { negatable, read, required, valueText, withValue } from './given.ts'

const commentMax = 255

const mark: MatchKind = {
  name: 'mark',
  options: [negatable('--mark')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--mark', { word, name: '-m mark' })
    const wanted = option && read(option, scope, (text) => parseMasked(text), 'mark')
    if (option === undefined || wanted === undefined) return undefined
    const { value, mask } = wanted
    const { inverted } = option
    const text = `${bang(inverted)}--mark ${formatMasked(wanted)}`
    return {
      text,
      bind:
        () =>
        ({ skb }) =>
          ((skb.mark & mask) >>> 0 === value) !== inverted,
    }
  },
}

const connmark: MatchKind = {
  name: 'connmark',
  options: [negatable('--mark')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--mark', { word, name: '-m connmark' })
    const wanted = option && read(option, scope, (text) => parseMasked(text), 'mark')
    if (option === undefined || wanted === undefined) return undefined
    const { value, mask } = wanted
    const { inverted } = option
    return {
      text: `${bang(inverted)}--mark ${formatMasked(wanted)}`,
      need: 'conntrack',
      bind:
        () =>
        ({ skb: { nfct } }) =>
          nfct !== undefined && ((nfct.mark & mask) >>> 0 === value) !== inverted,
    }
  },
}

const comment: MatchKind = {
  name: 'comment',
  options: [withValue('--comment')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--comment', { word, name: '-m comment' })
    if (option === undefined) return undefined
    const text = valueText(option)
    if (text.length > commentMax)
      return scope.report(option.word, `a comment has at most ${commentMax} characters`)
    return { text: `--comment ${quoteWord(text)}`, bind: () => () => true }
  },
}

/** Matches on marks, and the comment that always matches. */
export const markMatches: readonly MatchKind[] = [mark, connmark, comment]
