// Everything that `scn explain` knows: diagnostics, drop reasons, return codes, words of a trace.
import { modelCodes } from '../model/codes.ts'
import { syntaxCodes } from '../syntax/codes.ts'
import { kernelDropReasons } from '../trace/drop-reason.ts'
import { goldenPages, traceWords } from '../trace/words.ts'
import { dropPages } from './drop-pages.ts'

export interface Page {
  readonly title: string
  readonly text: string
  readonly example?: string
}

/** Failures of a run, and files that cannot be read. */
const runPages: Readonly<Record<string, Page>> = {
  E001: {
    title: 'an expectation does not hold',
    text: 'The trace shows something else than the file expects. The caret stands under the expected value, or under the cell of the case table that it came from; the line below says where the packet was looked at and who changed it there.',
  },
  E002: {
    title: 'there was no such packet',
    text: 'The expectation speaks of a packet that the run never saw. Packets are named by their cause: `f1.syn`, `f1.syn.retry1`, `f1.data1`, `p1.icmp`. The message lists the packets that there were.',
  },
  E003: {
    title: 'the flow never started',
    text: 'No step of this case carries the flow that the expectation speaks of.',
  },
  E004: {
    title: 'something happened that must never happen',
    text: 'A `never` line holds for every packet and every place of the scenario.',
  },
  F001: { title: 'a file cannot be read', text: 'The file is not there, is a folder, or may not be read.' },
}

const codePages: Readonly<Record<string, string>> = {
  XDP_ABORTED:
    'The packet is dropped and the tracepoint xdp:xdp_exception fires; an unknown code does the same.',
  XDP_DROP: 'The frame is dropped before there is an skb; no tap sees it.',
  XDP_PASS: 'The frame goes up: taps, tc ingress, the stack.',
  XDP_TX:
    'The frame leaves by the device it came from, as the program left it; MAC addresses are not swapped for you. Native XDP on a veth needs a native program on the far side.',
  XDP_REDIRECT:
    'The frame leaves by the device that bpf_redirect or bpf_redirect_map chose; without a choice it is dropped.',
  TC_ACT_UNSPEC: 'No verdict: the next filter decides; at the end of the list the packet is accepted.',
  TC_ACT_OK:
    'The packet is accepted; no further program of the hook runs. In tcx this skips the clsact filters too.',
  TC_ACT_RECLASSIFY: 'For a direct-action filter the same as TC_ACT_UNSPEC.',
  TC_ACT_SHOT: 'The packet is dropped. On egress an application is told ENOBUFS only with IP_RECVERR.',
  TC_ACT_PIPE:
    'For a direct-action filter the same as TC_ACT_UNSPEC; in tcx it ends the list without a verdict.',
  TC_ACT_STOLEN:
    'The packet is gone and the sender sees success. In tcx it is no verdict: the packet passes.',
  TC_ACT_QUEUED: 'For a direct-action filter the same as TC_ACT_UNSPEC.',
  TC_ACT_REPEAT: 'For a direct-action filter the same as TC_ACT_UNSPEC.',
  TC_ACT_REDIRECT:
    'The packet goes where the helper said (bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer); without a helper call it is dropped silently.',
  TC_ACT_TRAP: 'Gone like TC_ACT_STOLEN; in tcx no verdict.',
}

function dropPage(word: string): Page | undefined {
  const full = kernelDropReasons.find((known) => known === word || known === `SKB_DROP_REASON_${word}`)
  if (full === undefined) return undefined
  const short = full.replace(/^SKB_DROP_REASON_/, '')
  const own = full.endsWith('_SCN')
  const text = dropPages[short] ?? 'See enum skb_drop_reason.'
  return { title: own ? 'an end that Linux itself has no reason for' : 'a drop reason', text }
}

/** The page of a word; capital letters of a drop reason may lack their prefix. */
export function pageFor(word: string): Page | undefined {
  const codes: Readonly<
    Record<string, { title: string; explanation: string; example: string; better: string }>
  > = { ...syntaxCodes, ...modelCodes }
  const code = Object.hasOwn(codes, word) ? codes[word] : undefined
  if (code !== undefined) {
    const better = code.better === '' ? '' : `\n\nbetter:\n${code.better}`
    return { title: code.title, text: code.explanation, example: `${code.example}${better}` }
  }
  const returned = Object.hasOwn(codePages, word) ? codePages[word] : undefined
  if (returned !== undefined) return { title: 'a return code', text: returned }
  const run = Object.hasOwn(runPages, word) ? runPages[word] : undefined
  return run ?? goldenPages.get(word) ?? traceWords.get(word) ?? dropPage(word)
}

/** Every word that has a page, for suggestions. */
export function pageWords(): string[] {
  return [
    ...Object.keys(syntaxCodes),
    ...Object.keys(modelCodes),
    ...Object.keys(codePages),
    ...Object.keys(runPages),
    ...goldenPages.keys(),
    ...traceWords.keys(),
    ...kernelDropReasons,
    ...kernelDropReasons.map((name) => name.replace(/^SKB_DROP_REASON_/, '')),
  ]
}
