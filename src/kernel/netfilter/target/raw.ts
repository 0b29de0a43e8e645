// Targets for packets before conntrack and before routing: xt_CT.c (with NOTRACK) and xt_TPROXY.c.
import { anyIpv4, anyIpv6, formatIp, type IpAddress, parseIpv4, parseIpv6 } from '../../../net/address.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { connInfo, zoneTemplate } from '../../conntrack/connection.ts'
import {
  type Action,
  actionVerdict,
  type Given,
  type RuleScope,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, flag, read, withValue } from '../match/given.ts'
import { type ProxyAddress, proxySocket } from '../proxy-socket.ts'
import { hex, parseMasked, parseNumber } from '../values.ts'

const notrack: Action = ({ skb }) => {
  if (skb.nfct === undefined) skb.nfctInfo = connInfo.untracked
  return actionVerdict.next
}

function zoneAction(zone: number): Action {
  const template = zoneTemplate(zone)
  return ({ skb }) => {
    if (skb.nfct === undefined && skb.nfctInfo !== connInfo.untracked) {
      skb.nfct = template
      skb.nfctInfo = connInfo.new
    }
    return actionVerdict.next
  }
}

const ct: TargetKind = {
  name: 'CT',
  tables: ['raw'],
  hooks: ['PREROUTING', 'OUTPUT'],
  options: [flag('--notrack'), withValue('--zone'), withValue('--zone-orig'), withValue('--zone-reply')],
  read: (given, scope): TargetSpec | undefined => {
    if (find(given, '--notrack') !== undefined) return { text: '--notrack', bind: () => notrack } // xt_ct_tg_check(): switches nothing on
    const option = find(given, '--zone')
    const directed = find(given, '--zone-orig') ?? find(given, '--zone-reply')
    if (directed !== undefined)
      return scope.report(directed.word, 'zones of one direction are not modelled; use `--zone`')
    if (option === undefined) return { text: '', need: 'conntrack', bind: () => () => actionVerdict.next }
    const zone = read(option, scope, (text) => parseNumber(text, 0xffff), 'zone from 0 to 65535')
    if (zone === undefined) return undefined
    return { text: `--zone ${zone}`, need: 'conntrack', bind: () => zoneAction(zone) }
  },
}

const noTrackTarget: TargetKind = {
  name: 'NOTRACK',
  tables: ['raw'],
  hooks: ['PREROUTING', 'OUTPUT'],
  options: [],
  read: (): TargetSpec => ({ text: '', bind: () => notrack }),
}

interface Proxy extends ProxyAddress {
  readonly value: number
  readonly mask: number
}

function proxyAction(proxy: Proxy): Action {
  return (packet) => {
    if (packet.fragmentOffset !== 0 || packet.l4 + 4 > packet.skb.tail) return actionVerdict.drop
    const socket = proxySocket(packet, proxy)
    if (socket === undefined || !socket.transparent) return actionVerdict.drop
    const { skb } = packet
    const mark = ((skb.mark & ~proxy.mask) ^ proxy.value) >>> 0
    if (mark !== skb.mark) packet.changed = true
    skb.mark = mark
    skb.sk = socket
    return actionVerdict.accept
  }
}

function readProxy(given: readonly Given[], scope: RuleScope, word: Given['word']): Proxy | undefined {
  const port = find(given, '--on-port')
  const ip = find(given, '--on-ip')
  const mark = find(given, '--tproxy-mark')
  if (port === undefined) return scope.report(word, '`-j TPROXY` needs `--on-port`')
  if (scope.protocol !== ipProtocol.tcp && scope.protocol !== ipProtocol.udp) {
    return scope.report(word, '`-j TPROXY` needs `-p tcp` or `-p udp`')
  }
  const number = read(port, scope, (text) => parseNumber(text, 0xffff), 'port')
  const nowhere = scope.family === 4 ? anyIpv4 : anyIpv6
  const address =
    ip === undefined
      ? nowhere
      : read<IpAddress>(ip, scope, scope.family === 4 ? parseIpv4 : parseIpv6, `IPv${scope.family} address`)
  const masked =
    mark === undefined ? { value: 0, mask: 0 } : read(mark, scope, (text) => parseMasked(text), 'mark')
  if (number === undefined || address === undefined || masked === undefined) return undefined
  return { address, port: number, ...masked }
}

const tproxy: TargetKind = {
  name: 'TPROXY',
  tables: ['mangle'],
  hooks: ['PREROUTING'],
  options: [withValue('--on-port'), withValue('--on-ip'), withValue('--tproxy-mark')],
  read: (given, scope, word): TargetSpec | undefined => {
    const proxy = readProxy(given, scope, word)
    if (proxy?.address === undefined) return undefined
    const text = `--on-port ${proxy.port} --on-ip ${formatIp(proxy.address)} --tproxy-mark ${hex(proxy.value)}/${hex(proxy.mask)}`
    return { text, need: 'defrag', bind: () => proxyAction(proxy) }
  },
}

/** Targets of table raw, and TPROXY of mangle. */
export const rawTargets: readonly TargetKind[] = [ct, noTrackTarget, tproxy]
