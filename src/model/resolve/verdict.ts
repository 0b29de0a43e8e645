// `verdict PLACE == CODE`: the place must have a program or a chain that decides, and the code must be one of its own.
import { didYouMean } from '../../base/closest.ts'
import type { Word } from '../../syntax/ast.ts'
import type { PlaceRef } from '../claim.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { Given } from '../model.ts'
import { cgroupCodes, netfilterCodes, netkitCodes, tcCodes, tcxCodes, xdpCodes } from '../words/closed.ts'
import { isNothing, isOpen } from '../words/fill.ts'
import { integerOf } from '../words/numbers.ts'
import type { Scope } from './scope.ts'

export type CodeFamily = 'xdp' | 'tc' | 'netfilter' | 'cgroup'

/** The codes of each family; the second list is accepted where the first is expected. */
const families: Readonly<Record<CodeFamily, readonly string[]>> = {
  xdp: xdpCodes,
  tc: [...tcCodes, ...tcxCodes, ...netkitCodes],
  netfilter: netfilterCodes,
  cgroup: cgroupCodes,
}

const familyNames: Readonly<Record<CodeFamily, string>> = {
  xdp: 'an XDP return code',
  tc: 'a tc return code',
  netfilter: 'a verdict of a netfilter chain',
  cgroup: 'an answer of a cgroup program',
}

/** Codes that people confuse, and what they mean. */
const translations: Readonly<Record<'xdp' | 'tc' | 'cgroup', Readonly<Record<string, string>>>> = {
  cgroup: { TC_ACT_SHOT: 'DENY', TC_ACT_OK: 'ALLOW', XDP_DROP: 'DENY', XDP_PASS: 'ALLOW' },
  tc: {
    TC_ACT_DROP: 'TC_ACT_SHOT',
    XDP_DROP: 'TC_ACT_SHOT',
    XDP_ABORTED: 'TC_ACT_SHOT',
    XDP_PASS: 'TC_ACT_OK',
    TC_ACT_PASS: 'TC_ACT_OK',
    TC_ACT_ACCEPT: 'TC_ACT_OK',
    XDP_TX: 'TC_ACT_REDIRECT',
    XDP_REDIRECT: 'TC_ACT_REDIRECT',
  },
  xdp: {
    TC_ACT_SHOT: 'XDP_DROP',
    TCX_DROP: 'XDP_DROP',
    TC_ACT_OK: 'XDP_PASS',
    TCX_PASS: 'XDP_PASS',
    XDP_OK: 'XDP_PASS',
    XDP_SHOT: 'XDP_DROP',
    TC_ACT_UNSPEC: 'XDP_PASS',
    TC_ACT_REDIRECT: 'XDP_REDIRECT',
    TCX_REDIRECT: 'XDP_REDIRECT',
  },
}

const remarks: Readonly<Record<CodeFamily, string>> = {
  tc: 'XDP_DROP belongs to xdp programs; a tc program drops with TC_ACT_SHOT',
  xdp: 'TC_ACT_SHOT belongs to tc programs; an xdp program drops with XDP_DROP',
  cgroup: 'the kernel has the numbers 0 to 3 for these; 2 and 3 exist at egress only',
  netfilter: 'a chain accepts or drops; return codes belong to programs',
}

/**
 * Whether a code is one of the family. Any number may stand there too: a program can return what it likes, and the
 * kernel has an answer for it.
 */
export function codeFits(word: Word, family: CodeFamily, { report }: Scope): boolean {
  const codes = families[family]
  if (codes.includes(word.text) || isNothing(word) || isOpen(word) || integerOf(word.text) !== undefined)
    return true
  const best = family === 'netfilter' ? undefined : translations[family][word.text]
  const near = best === undefined ? didYouMean(word.text, codes) : `did you mean \`${best}\`?`
  report(
    mistakeIn('S107', word, `\`${word.text}\` is not ${familyNames[family]}`, {
      hint: near ?? `one of ${codes.join(', ')}`,
      notes: [{ message: remarks[family] }],
    }),
  )
  return false
}

/** The family of codes that a place's verdict has; undefined where nothing decides. */
export function familyOf(place: PlaceRef): CodeFamily | 'any' | undefined {
  switch (place.stage) {
    case 'xdp':
      return 'xdp'
    case 'tc-in':
    case 'tc-out':
    case 'netkit-primary':
    case 'netkit-peer':
      return 'tc'
    case 'nf':
      return 'netfilter'
    case 'policy':
    case 'cgroup':
      return 'any'
    default:
      return undefined
  }
}

/** Whether the place of a verdict decides anything, and with such a code. */
export function checkVerdict(place: Given<PlaceRef>, code: Word, scope: Scope): boolean {
  const family = familyOf(place.value)
  if (family === undefined) {
    const { device, text } = place.value
    const hint =
      device === undefined
        ? 'name a device and a hook'
        : `did you mean \`${text.split('/').slice(0, 2).join('/')}/xdp\`?`
    scope.report(
      mistake('S141', place.span, `\`${text}\` gives no verdict`, {
        hint,
        notes: [
          {
            message:
              'verdicts are given at xdp, tc-in, tc-out, netkit-primary, netkit-peer, policy, nf/TABLE/CHAIN and cgroup/HOOK',
          },
        ],
      }),
    )
    return false
  }
  return family === 'any' || codeFits(code, family, scope)
}
