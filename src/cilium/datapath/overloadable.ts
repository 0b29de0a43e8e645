// What Cilium implements once for tc and once for XDP: flags about a packet that live in its mark and tc_index, or in the
// scratch map of XDP, and that XDP can leave for tc. lib/overloadable_skb.h, lib/overloadable_xdp.h
import { type Ctx, tcIndexFlag } from './ctx.ts'
import { magicOf, mark, markMask } from './mark.ts'
import { scratchSlot } from './xdp-ctx.ts'

/** Bits that XDP leaves in front of a packet for tc. lib/common.h XFER_PKT_* */
export const xferFlag = { PKT_NO_SVC: 1, PKT_UNUSED: 2, PKT_SNAT_DONE: 4 } as const

/** XFER_FLAGS: the word in front of a packet that carries them. */
export const xferFlagsWord = 0

/** ctx_skip_nodeport_clear() */
export function skipNodeportClear(ctx: Ctx): void {
  if (!ctx.node.ENABLE_NODEPORT) return
  if (ctx.isXdp) ctx.setMeta(scratchSlot.RECIRC_MARKER, 0)
  else ctx.tcIndex &= ~tcIndexFlag.SKIP_NODEPORT
}

/** ctx_skip_nodeport_set(): the next program of the main path does not look for services again. */
export function skipNodeportSet(ctx: Ctx): void {
  if (!ctx.node.ENABLE_NODEPORT) return
  if (ctx.isXdp) ctx.setMeta(scratchSlot.RECIRC_MARKER, 1)
  else ctx.tcIndex |= tcIndexFlag.SKIP_NODEPORT
}

/** ctx_skip_nodeport(): reads the flag; in tc it is cleared by that. */
export function skipNodeport(ctx: Ctx): boolean {
  if (!ctx.node.ENABLE_NODEPORT) return true
  if (ctx.isXdp) return ctx.meta(scratchSlot.RECIRC_MARKER) !== 0
  return takeTcIndexFlag(ctx, tcIndexFlag.SKIP_NODEPORT)
}

function takeTcIndexFlag(ctx: Ctx, flag: number): boolean {
  const was = ctx.tcIndex
  ctx.tcIndex = was & ~flag
  return (was & flag) !== 0
}

/** ctx_skip_host_fw_set() */
export function skipHostFirewallSet(ctx: Ctx): void {
  ctx.tcIndex |= tcIndexFlag.SKIP_HOST_FIREWALL
}

/** ctx_skip_host_fw(): reads and clears the flag. */
export function skipHostFirewall(ctx: Ctx): boolean {
  return takeTcIndexFlag(ctx, tcIndexFlag.SKIP_HOST_FIREWALL)
}

/** ctx_set_xfer(): notes a flag that tc shall find; only XDP can. */
export function setXfer(ctx: Ctx, flag: number): void {
  if (ctx.isXdp) ctx.setMeta(scratchSlot.XFER_MARKER, ctx.meta(scratchSlot.XFER_MARKER) | flag)
}

/** ctx_move_xfer(): writes the noted flags in front of the packet. */
export function moveXfer(ctx: Ctx): void {
  if (ctx.isXdp) ctx.setTransfer(ctx.meta(scratchSlot.XFER_MARKER))
}

/** ctx_snat_done_set() */
export function snatDoneSet(ctx: Ctx): void {
  if (ctx.isXdp) setXfer(ctx, xferFlag.PKT_SNAT_DONE)
  else ctx.mark = ((ctx.mark & ~markMask) | mark.SNAT_DONE) >>> 0
}

/** ctx_snat_done() */
export function snatDone(ctx: Ctx): boolean {
  if (ctx.isXdp) return (ctx.meta(scratchSlot.XFER_MARKER) & xferFlag.PKT_SNAT_DONE) !== 0
  return magicOf(ctx.mark) === mark.SNAT_DONE
}

/** ctx_is_overlay() */
export function isOverlay(ctx: Ctx): boolean {
  return ctx.node.HAVE_ENCAP && magicOf(ctx.mark) === mark.OVERLAY
}

function encryptionIsOn(ctx: Ctx): boolean {
  return ctx.node.ENABLE_WIREGUARD || ctx.node.ENABLE_IPSEC
}

/** ctx_is_encrypt() */
export function isEncrypt(ctx: Ctx): boolean {
  return encryptionIsOn(ctx) && magicOf(ctx.mark) === mark.ENCRYPT
}

/** ctx_is_decrypt() */
export function isDecrypt(ctx: Ctx): boolean {
  return encryptionIsOn(ctx) && magicOf(ctx.mark) === mark.DECRYPT
}

/** ctx_egw_done() */
export function egressGatewayDone(ctx: Ctx): boolean {
  return magicOf(ctx.mark) === mark.EGW_DONE
}
