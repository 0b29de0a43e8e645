// What a program reads and writes exists where it runs: fields, values beside them, devices, other programs.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import { textOf } from '../../base/text.ts'
import { parseIp } from '../../net/address.ts'
import { parseMac } from '../../net/mac.ts'
import { parsePrefix } from '../../net/prefix.ts'
import { parseTcpFlags } from '../../net/tcp.ts'
import type { HostItem, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { type HookFamily, hookFamily, type ProgramDraft } from '../resolve/program.ts'
import type { FieldUse } from '../resolve/program-uses.ts'
import { readField } from '../resolve/test.ts'
import { notYet } from '../resolve/unavailable.ts'
import { readValue } from '../resolve/value.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { cgroupMaySet, fieldInfo, isBesideWord, isHiddenFromCgroups, isInPrograms } from '../words/fields.ts'
import { durationNanoseconds, integerOf } from '../words/numbers.ts'
import { addressesOf, type HostDraft } from '../world/entities.ts'

/** Fields, values, redirect targets and tail calls of every program. */
export function programValues(world: WorldDraft, report: Report): void {
  for (const program of world.programs) {
    const { uses, syntax } = program
    const type = hookFamily(syntax.type)
    for (const use of uses.fields) field(use, type, syntax.type, world, report)
    for (const { field: left, operator, value } of uses.values) {
      const info = fieldInfo(left.path)
      if (info !== undefined) readValue(value, info, operator, world.scope)
    }
    for (const { expr, hint } of uses.misplaced)
      report(mistake('S121', expr.span, `\`${textOf(expr.span)}\` cannot stand here`, { hint }))
    operands(program, world, report)
    devices(program, world, report)
    const names = world.entities.linked.programNames.get(syntax.span.source.name)
    for (const word of uses.tails) {
      if (names?.has(word.text) === true) continue
      const hint = didYouMean(word.text, names?.keys() ?? [])
      report(mistakeIn('S103', word, `no program is called \`${word.text}\``, { hint }))
    }
  }
}

function field(
  { field: named, how }: FieldUse,
  type: HookFamily,
  written: string,
  { scope }: WorldDraft,
  report: Report,
): void {
  const info = readField(named, scope)
  if (info === undefined) return
  const absent =
    info.where === 'trace' ||
    (info.where === 'skb' && type === 'xdp') ||
    (info.where === 'sock' && type !== 'other') ||
    (type === 'cgroup' && isHiddenFromCgroups(info.path))
  if (absent) {
    const hint =
      type === 'cgroup'
        ? 'the packet begins at its IP header, and what tc keeps beside it is not shown'
        : info.where === 'skb'
          ? 'it lies beside the packet in an skb, which XDP runs before'
          : info.where === 'sock'
            ? 'it belongs to cgroup programs'
            : 'only an expectation can ask for it'
    report(
      mistake(
        'S134',
        named.span,
        `${written === 'xdp' ? 'an' : 'a'} ${written} program cannot see \`${named.path}\``,
        { hint },
      ),
    )
  } else if (!isInPrograms(info)) {
    notYet(named.span, `the field \`${named.path}\` in a program`, report)
  } else if (how === 'set' && type === 'cgroup' && !cgroupMaySet(info.path)) {
    report(
      mistake('S134', named.span, `a ${written} program cannot set \`${named.path}\``, {
        hint: 'it may set mark, priority, tstamp and cb0 to cb4; packets are read only',
      }),
    )
  } else if (how === 'set' && !info.writable) {
    report(
      mistake('S134', named.span, `\`${named.path}\` cannot be set`, {
        hint: 'it is computed from the rest of the packet',
      }),
    )
  }
}

/** Words that the program computes with: numbers, addresses, names of hosts that have one, devices where it runs. */
function operands(program: ProgramDraft, world: WorldDraft, report: Report): void {
  if (program.uses.operands.length === 0) return
  const { hosts } = world.entities
  const devicesOf = hostsOf(program, world).map((host) => host.devices)
  for (const word of program.uses.operands) {
    const { text } = word
    if (integerOf(text) !== undefined || parseIp(text) !== undefined || parsePrefix(text) !== undefined)
      continue
    if (parseMac(text) !== undefined || parseTcpFlags(text) !== undefined) continue
    const host = hosts.get(text)
    if (host !== undefined && addressesOf(host).length > 0) continue
    if (devicesOf.length > 0 && devicesOf.every((devices) => devices.has(text))) continue
    if (durationNanoseconds(text) !== undefined) continue
    if (isBesideWord(text)) {
      const named = { kind: 'field', span: word.span, path: text } as const
      field(
        { field: named, how: 'read' },
        hookFamily(program.syntax.type),
        program.syntax.type,
        world,
        report,
      )
      continue
    }
    const known = [...hosts.keys(), ...devicesOf.flatMap((devices) => [...devices.keys()])]
    const hint = didYouMean(text, known) ?? 'a number, an address, a name of a host or a device'
    report(mistakeIn('S121', word, `\`${text}\` is no value`, { hint }))
  }
}

/** The hosts at whose devices a program stands: a redirect names devices of those. */
function hostsOf(program: ProgramDraft, { entities }: WorldDraft): readonly HostDraft[] {
  const names = entities.linked.programNames
  const means = (word: Word): boolean =>
    names.get(word.span.source.name)?.get(word.text)?.name === program.name
  const stands = (item: HostItem): boolean =>
    item.kind === 'dev'
      ? item.attachments.some((each) => means(each.program))
      : item.kind === 'attachment' && means(item.program)
  return [...entities.hosts.values()].filter((host) => host.items.some(stands))
}

function devices(program: ProgramDraft, world: WorldDraft, report: Report): void {
  const { redirects } = program.uses
  if (redirects.length === 0) return
  const hosts = hostsOf(program, world)
  for (const { device } of redirects) {
    if (integerOf(device.text) !== undefined) continue
    for (const host of hosts) {
      if (host.devices.has(device.text) || device.text === 'lo') continue
      report(
        mistakeIn('S103', device, `\`${host.name}\` has no device \`${device.text}\``, {
          hint: didYouMean(device.text, host.devices.keys()),
          notes: [{ message: `\`${program.name}\` runs on \`${host.name}\``, span: host.word.span }],
        }),
      )
    }
  }
}
