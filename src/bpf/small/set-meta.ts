// `set mark = 7` and the like: fields of the context rather than of a header.

import { writeLe32 } from '../context/byte-order.ts'
import { storeSkb } from '../context/skb.ts'
import { skbAt } from '../context/skb-fields.ts'
import { fault } from '../fault.ts'
import { setHash } from '../helpers/lookup.ts'
import { tracedCall } from '../helpers/note.ts'
import { skbChangeType } from '../helpers/skb-shape.ts'
import { xdpAdjustMeta } from '../helpers/xdp.ts'
import { numberOf } from './expr.ts'
import type { MetaFieldName } from './fields.ts'
import type { SmallRun } from './headers.ts'
import type { IrExpr, MapShape } from './ir.ts'

type Put = (run: SmallRun, value: number) => void

function toSkb(offset: number): Put {
  return (run, value) => storeSkb(run.context, offset, 4, value)
}

/** In XDP data_meta grows by four bytes, which are written as a C program writes a u32; in tc what is there is overwritten. */
function putMeta(run: SmallRun, value: number): void {
  const { xdp, skb } = run.context
  if (xdp !== undefined) {
    if (tracedCall(run.context, 'xdp_adjust_meta', xdpAdjustMeta, -4) !== 0) {
      run.stop = 0
      return
    }
    writeLe32(xdp.bytes, xdp.meta, value)
    return
  }
  if (skb !== undefined && skb.metaBytes >= 4) writeLe32(skb.bytes, skb.start - skb.metaBytes, value)
}

const writers: Readonly<Partial<Record<MetaFieldName, Put>>> = {
  mark: toSkb(skbAt.mark),
  tstamp: (run, value) => storeSkb(run.context, skbAt.tstamp, 8, value),
  priority: toSkb(skbAt.priority),
  queue: toSkb(skbAt.queue_mapping),
  tc_index: toSkb(skbAt.tc_index),
  tc_classid: toSkb(skbAt.tc_classid),
  cb0: toSkb(skbAt.cb),
  cb1: toSkb(skbAt.cb + 4),
  cb2: toSkb(skbAt.cb + 8),
  cb3: toSkb(skbAt.cb + 12),
  cb4: toSkb(skbAt.cb + 16),
  meta: putMeta,
  hash: (run, value) => {
    tracedCall(run.context, 'set_hash', setHash, value)
  },
  'packet.type': (run, value) => {
    tracedCall(run.context, 'skb_change_type', skbChangeType, value)
  },
}

/** Compiles the setting of a field of the context. */
export function setMeta(
  maps: readonly MapShape[],
  name: MetaFieldName,
  value: IrExpr,
): (run: SmallRun) => void {
  const put = writers[name] ?? fault(`${name} cannot be set`)
  const number = numberOf(maps, value)
  return (run) => {
    const wanted = number(run)
    if (!Number.isNaN(wanted)) put(run, wanted)
  }
}
