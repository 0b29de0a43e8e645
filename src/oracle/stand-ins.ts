// Programs that the verified scenario does not have: they make a real namespace behave as the model's.
import type { FieldName } from '../bpf/small/fields.ts'
import type { SmallIr } from '../bpf/small/ir.ts'

type Compare = Extract<SmallIr['rules'][number]['test'], { readonly kind: 'compare' }>

function compare(field: FieldName, operator: Compare['operator'], value: number): Compare {
  return { kind: 'compare', operator, left: { kind: 'field', field }, right: { kind: 'number', value } }
}

/** Only what is asked for ARP or neighbour discovery passes; everything else ends behind the tap. */
export const muteProgram: SmallIr = {
  name: 'mute',
  type: 'sched_cls',
  maps: [],
  rules: [
    { test: { kind: 'layer', layer: 'arp' }, actions: [], code: 0 },
    {
      test: { kind: 'and', tests: [compare('icmp6.type', '>=', 133), compare('icmp6.type', '<=', 137)] },
      actions: [],
      code: 0,
    },
  ],
  otherwise: 2,
}

/** The switch's side of a card lets everything pass, so that XDP may send to it. */
export const passProgram: SmallIr = { name: 'pass', type: 'xdp', maps: [], rules: [], otherwise: 2 }

/**
 * The switch's side of a card loses the reports of multicast listeners (MLDv2, to ff02::16), which real hosts send by themselves
 * some time after they begin: a program that sends them back would make the switch look for their senders elsewhere.
 */
export const withoutReportsProgram: SmallIr = {
  name: 'no_reports',
  type: 'sched_cls',
  maps: [],
  rules: [
    {
      test: compare('eth.dst', '==', 0x3333_0000_0016),
      actions: [],
      code: 2,
    },
  ],
  otherwise: 0,
}
