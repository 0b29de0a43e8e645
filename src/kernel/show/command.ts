// The commands that people type on a host, and which view answers them. Enters: the words; leaves: the text that the tool
// would print, or what it could not understand.
import { bpftoolCommand } from './command-bpftool.ts'
import { ipCommand } from './command-ip.ts'
import { conntrackCommand, iptablesCommand, nftCommand } from './command-netfilter.ts'
import {
  arpCommand,
  bridgeCommand,
  ethtoolCommand,
  nstatCommand,
  ssCommand,
  sysctlCommand,
  tcCommand,
} from './command-tools.ts'
import type { ShowContext, Shown } from './command-words.ts'
import { ipvsadmCommand } from './ipvsadm.ts'

type Command = (words: readonly string[], context: ShowContext) => Shown

/** Every form that is understood, for people: one line each. */
export const knownCommands: readonly string[] = [
  'ip [-4|-6] [-d] [-s] [-br] link [show [dev DEV] [master DEV] [type KIND]]',
  'ip [-4|-6] [-br] addr [show [dev DEV]]',
  'ip [-4|-6] route [show [table T|local|main|all] [dev DEV] [type TYPE]]',
  'ip [-4|-6] rule',
  'ip xfrm state | ip xfrm policy',
  'ip [-4|-6] neigh [show [dev DEV]] [show proxy]',
  'arp -n | arp -an',
  'bridge fdb [show [dev DEV] [br BRIDGE]]',
  'bridge [-d] link [show dev DEV]',
  'ss -tunl | ss -tan | ss -uan',
  'nstat [-az]',
  'tc filter show dev DEV ingress|egress',
  'tc [-s] qdisc [show [dev DEV]]',
  'ethtool -S DEV',
  'bpftool net [show [dev DEV]]',
  'bpftool prog [show]',
  'bpftool map [show] | bpftool map dump name NAME',
  'iptables-save [-c] [-t TABLE] | ip6tables-save',
  'iptables [-t TABLE] -S | ip6tables -S',
  'nft [-a] list ruleset | nft [-a] list table [FAMILY] NAME',
  'conntrack -L [-f ipv6] [-p PROTOCOL]',
  'ipvsadm -Ln [--stats] | ipvsadm -Lnc | ipvsadm-save -n',
  'sysctl KEY',
]

/** The first words of all commands. */
export const knownTools: readonly string[] = [
  ...new Set(knownCommands.map((form) => form.split(' ')[0] ?? '')),
]

const tools: Readonly<Record<string, Command>> = {
  ip: ipCommand,
  arp: arpCommand,
  bridge: bridgeCommand,
  ss: ssCommand,
  nstat: nstatCommand,
  tc: tcCommand,
  ethtool: ethtoolCommand,
  bpftool: bpftoolCommand,
  'iptables-save': iptablesCommand,
  'ip6tables-save': iptablesCommand,
  'iptables-legacy-save': iptablesCommand,
  'ip6tables-legacy-save': iptablesCommand,
  iptables: iptablesCommand,
  ip6tables: iptablesCommand,
  nft: nftCommand,
  conntrack: conntrackCommand,
  ipvsadm: ipvsadmCommand,
  'ipvsadm-save': ipvsadmCommand,
  sysctl: sysctlCommand,
}

/** Carries out one command line. */
export function showCommand(line: string, context: ShowContext): Shown {
  const words = line.split(/\s+/).filter((word) => word !== '')
  const [tool = ''] = words
  const command = Object.hasOwn(tools, tool) ? tools[tool] : undefined
  return command === undefined ? { kind: 'unknown', word: tool } : command(words, context)
}
