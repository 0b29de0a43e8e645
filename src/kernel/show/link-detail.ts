// What `-d` adds to `ip link`: limits of the device, its kind with its settings, its life as a bridge port. Timers of the
// spanning tree, which this bridge does not run, print as zero.

import { formatIp } from '../../net/address.ts'
import { formatMac, macFrom } from '../../net/mac.ts'
import { bridgeState } from '../device/bridge-state.ts'
import type { NetDevice } from '../device/device.ts'
import { macvlanMode } from '../device/macvlan.ts'
import { netkitDetail } from '../device/netkit.ts'
import { vxlanState } from '../device/vxlan-state.ts'

/** The last words of the last detail line. */
export const tailDetail =
  'addrgenmode eui64 numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 '

/** `8000.2:0:0:0:0:1`: priority and address without leading zeros. */
function bridgeId(mac: number): string {
  const bytes = formatMac(macFrom(mac)).split(':')
  return `8000.${bytes.map((byte) => Number.parseInt(byte, 16).toString(16)).join(':')}`
}

/** Words of iproute2 ip/iplink_vxlan.c vxlan_print_opt(). */
function vxlanDetail(dev: NetDevice): string {
  const state = vxlanState(dev)
  const { first, last } = state.srcport
  const [low, high] = [first, last]
  const words = [
    '    vxlan',
    ...(state.external ? ['external'] : [`id ${state.vni}`]),
    ...(state.remote === undefined ? [] : [`remote ${formatIp(state.remote)}`]),
    ...(state.local === undefined ? [] : [`local ${formatIp(state.local)}`]),
    ...(dev.lower === undefined ? [] : [`dev ${dev.lower.name}`]),
    `srcport ${low} ${high}`,
    `dstport ${state.dstport}`,
    ...(state.learning ? [] : ['nolearning']),
    ...(state.proxy ? ['proxy'] : []),
    ...(state.tos === 0
      ? []
      : [`tos ${state.tos === 'inherit' ? 'inherit' : `0x${state.tos.toString(16)}`}`]),
    `ttl ${state.ttl === 0 ? 'auto' : state.ttl}`,
    ...(state.df === 'unset' ? [] : [`df ${state.df}`]),
    'ageing 300',
    state.udpcsum ? 'udpcsum' : 'noudpcsum',
    'noudp6zerocsumtx noudp6zerocsumrx ',
  ]
  return words.join(' ')
}

/** The words of iproute2's netkit_print_opt(); not compared with a real one. */
function netkitLine(dev: NetDevice): string {
  const { mode, primary, policy, scrub } = netkitDetail(dev)
  const { peer } = dev
  const far = peer === undefined ? undefined : netkitDetail(peer)
  const words = [
    `netkit mode ${mode} type ${primary ? 'primary' : 'peer'} policy ${policy}`,
    ...(far === undefined ? [] : [`peer policy ${far.policy}`]),
    `scrub ${scrub}`,
    ...(far === undefined ? [] : [`peer scrub ${far.scrub}`]),
  ]
  return `    ${words.join(' ')} `
}

function kindDetail(dev: NetDevice): string | undefined {
  switch (dev.kind) {
    case 'veth':
    case 'dummy':
      return `    ${dev.kind} `
    case 'netkit':
      return netkitLine(dev)
    case 'macvlan':
      return `    macvlan mode ${macvlanMode(dev)} bcqueuelen 1000 usedbcqueuelen 1000 `
    case 'vlan': {
      const key = [...(dev.lower?.vlans ?? [])].find(([, device]) => device === dev)?.[0] ?? 0
      const protocol = key > 0xfff ? '802.1ad' : '802.1Q'
      return `    vlan protocol ${protocol} id ${key & 0xfff} <REORDER_HDR> `
    }
    case 'bridge': {
      const id = bridgeId(dev.mac)
      const ageing = bridgeState(dev).ageingNanoseconds / 10_000_000
      return `    bridge forward_delay 1500 hello_time 200 max_age 2000 ageing_time ${ageing} stp_state 0 priority 32768 vlan_filtering 0 bridge_id ${id} designated_root ${id} root_port 0 root_path_cost 0 topology_change 0 topology_change_detected 0 hello_timer    0.00 tcn_timer    0.00 topology_change_timer    0.00 gc_timer    0.00 group_fwd_mask 0 group_address 01:80:c2:00:00:00 mcast_snooping 1 no_linklocal_learn 0 mcast_vlan_snooping 0 mcast_router 1 mcast_query_use_ifaddr 0 mcast_querier 0 mcast_hash_elasticity 16 mcast_hash_max 4096 mcast_last_member_count 2 mcast_startup_query_count 2 mcast_last_member_interval 100 mcast_membership_interval 26000 mcast_querier_interval 25500 mcast_query_interval 12500 mcast_query_response_interval 1000 mcast_startup_query_interval 3124 mcast_stats_enabled 0 mcast_igmp_version 2 mcast_mld_version 1 nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0 `
    }
    case 'vxlan':
      return vxlanDetail(dev)
    default:
      return undefined
  }
}

/** `promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535 `, then the kind. */
export function linkDetail(dev: NetDevice): readonly string[] {
  const promiscuity = dev.promiscuous ? 1 : 0
  const limits = dev.kind === 'loopback' ? 'minmtu 0 maxmtu 0' : 'minmtu 68 maxmtu 65535'
  const kind = kindDetail(dev)
  return [
    `promiscuity ${promiscuity}  allmulti ${promiscuity} ${limits} `,
    ...(kind === undefined ? [] : [kind]),
  ]
}

const onOff = (flag: boolean): string => (flag ? 'on' : 'off')

/** The number of a port, from 1 in the order in which ports were added. */
function portNumber(dev: NetDevice, bridge: NetDevice): number {
  const { ports } = bridgeState(bridge)
  return ports.length - ports.findIndex((port) => port.dev === dev)
}

/** `forwarding`, or `disabled` without carrier. */
export function portState(dev: NetDevice): string {
  return dev.up && dev.carrier ? 'forwarding' : 'disabled'
}

/** `    bridge_slave state forwarding ...` of a port. */
export function slaveDetail(dev: NetDevice): readonly string[] {
  const bridge = dev.master
  const port = bridge === undefined ? undefined : bridgeState(bridge).byDevice.get(dev)
  if (bridge === undefined || port === undefined) return []
  const number = portNumber(dev, bridge)
  const id = bridgeId(bridge.mac)
  const { hairpin, learning, flood, isolated } = port
  return [
    `    bridge_slave state ${portState(dev)} priority 32 cost 2 hairpin ${onOff(hairpin)} guard off root_block off fastleave off learning ${onOff(learning)} flood ${onOff(flood)} port_id 0x${(0x8000 + number).toString(16)} port_no 0x${number.toString(16)} designated_port ${0x8000 + number} designated_cost 0 designated_bridge ${id} designated_root ${id} hold_timer    0.00 message_age_timer    0.00 forward_delay_timer    0.00 topology_change_ack 0 config_pending 0 proxy_arp off proxy_arp_wifi off mcast_router 1 mcast_fast_leave off mcast_flood on bcast_flood on mcast_to_unicast off neigh_suppress off group_fwd_mask 0 group_fwd_mask_str 0x0 vlan_tunnel off isolated ${onOff(isolated)} locked off `,
  ]
}
