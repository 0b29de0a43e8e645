// cilium_dsr_nat_buffer: the address that a pod used for a NodePort of another node whose backend was chosen here, so that the
// entry of the connection can translate replies. bpf_lxc.c struct dsr_nat_info
import { readU16, writeU16 } from '../../net/bytes.ts'
import { dsrNatBufferBytes } from '../datapath/ct-buffer.ts'
import type { CtState } from '../datapath/ct-state.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { natAddressBytes } from '../maps/ct-entry.ts'

const addressBytes = 16

/** Notes the address and port that the pod used. */
export function noteDsrNat(ctx: Ctx, address: Uint8Array, port: number): void {
  const noted = new Uint8Array(dsrNatBufferBytes)
  noted.set(natAddressBytes(address))
  writeU16(noted, addressBytes, port)
  ctx.update(ctx.maps.dsrNatBuffer, new Uint8Array(4), noted)
}

/** Moves what is noted there into the state of a new entry. */
export function takeDsrNat(ctx: Ctx, state: CtState): void {
  const noted = ctx.lookup(ctx.maps.dsrNatBuffer, new Uint8Array(4))
  if (noted === undefined) return
  state.natAddress = noted.slice(0, addressBytes)
  state.natPort = readU16(noted, addressBytes)
  noted.fill(0)
}
