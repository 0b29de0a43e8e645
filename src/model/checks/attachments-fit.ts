// A program stands at a hook of its own type, and a device has one XDP program.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Attachment, AttachmentOptionName } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { filterProtocols, modeOf, xdpModes } from '../resolve/device.ts'
import { hookFamily } from '../resolve/program.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { optionOf, optionValue } from '../words/options.ts'
import type { HostDraft } from '../world/entities.ts'

/** Every attachment of every device. */
export function attachmentsFit({ entities }: WorldDraft, report: Report): void {
  const { programNames } = entities.linked
  for (const host of entities.hosts.values()) {
    for (const item of host.items) {
      if (item.kind === 'attachment') judge(item, programNames, report)
      if (item.kind !== 'dev') continue
      const xdp = item.attachments.filter((each) => each.hook === 'xdp')
      const [first, second] = xdp
      if (first !== undefined && second !== undefined) {
        report(
          mistake('S127', second.span, `\`${item.name.text}\` has an XDP program already`, {
            hint: 'a device runs one; join them by a tail call',
            notes: [{ message: 'the first one is here', span: first.span }],
          }),
        )
      }
      for (const each of item.attachments) {
        judge(each, programNames, report)
        actionHasDevice(each, host, report)
      }
    }
  }
}

type Names = WorldDraft['entities']['linked']['programNames']

function judge(item: Attachment, names: Names, report: Report): void {
  const word = item.program
  const known = names.get(word.span.source.name)
  const program = known?.get(word.text)
  if (program === undefined) {
    const hint =
      didYouMean(word.text, known?.keys() ?? []) ?? `declare it with \`prog ${word.text} TYPE { ... }\``
    report(mistakeIn('S103', word, `no program is called \`${word.text}\``, { hint }))
  } else if (!fits(item.hook, program.syntax.type)) {
    report(
      mistakeIn(
        'S110',
        word,
        `\`${word.text}\` is ${program.syntax.type === 'xdp' ? 'an' : 'a'} ${program.syntax.type} program`,
        {
          hint: `${item.hook} runs programs of type ${wanted(item.hook)}`,
          notes: [{ message: 'its type is given here', span: program.syntax.typeSpan }],
        },
      ),
    )
  }
  options(item, known, report)
  const { modeVariable } = item
  if (modeVariable === null || modeOf(item) !== undefined) return
  report(
    mistakeIn('S137', modeVariable, `\`${modeVariable.text}\` is no XDP mode`, {
      hint: didYouMean(modeVariable.text, xdpModes) ?? `one of ${xdpModes.join(', ')}`,
    }),
  )
}

function fits(hook: string, type: string): boolean {
  if (hook.startsWith('cgroup/')) return hook === type
  if (hook.startsWith('netkit')) return type === 'netkit' || hookFamily(type) === 'tc'
  return hook === 'xdp' ? type === 'xdp' : hookFamily(type) === 'tc'
}

function wanted(hook: string): string {
  if (hook.startsWith('cgroup/')) return hook
  return hook === 'xdp' ? 'xdp' : 'tc'
}

const filterOptions: readonly AttachmentOptionName[] = [
  'pref',
  'handle',
  'protocol',
  'classic',
  'classid',
  'action',
]
const linkOptions: readonly AttachmentOptionName[] = ['before', 'after', 'first', 'last']

function options(item: Attachment, known: ReadonlyMap<string, unknown> | undefined, report: Report): void {
  const isFilter = item.hook === 'tc-in' || item.hook === 'tc-out'
  const isLink = item.hook.startsWith('tcx') || item.hook.startsWith('netkit')
  for (const option of item.options) {
    const right = filterOptions.includes(option.name) ? isFilter : linkOptions.includes(option.name) && isLink
    if (right) continue
    const hint = filterOptions.includes(option.name)
      ? 'it is for tc-in and tc-out'
      : 'it is for tcx-in and tcx-out'
    report(mistake('S110', option.span, `\`${item.hook}\` has no \`${option.name}\``, { hint }))
  }
  const protocol = optionValue(item.options, 'protocol')
  if (protocol !== undefined && !Object.hasOwn(filterProtocols, protocol.text.toLowerCase())) {
    const names = Object.keys(filterProtocols)
    const hint = didYouMean(protocol.text, names) ?? `one of ${names.join(', ')}`
    report(mistakeIn('S137', protocol, `there is no protocol \`${protocol.text}\``, { hint }))
  }
  const [, second] = item.options.filter(({ name }) => linkOptions.includes(name))
  if (isLink && second !== undefined) {
    const hint = 'one of `before`, `after`, `first` and `last` says it'
    report(mistake('S110', second.span, 'the position is given already', { hint }))
  }
  for (const name of ['before', 'after'] as const) {
    const word = optionValue(item.options, name)
    if (word === undefined || known?.has(word.text) === true) continue
    report(
      mistakeIn('S103', word, `no program is called \`${word.text}\``, {
        hint: didYouMean(word.text, known?.keys() ?? []),
      }),
    )
  }
  if (optionOf(item.options, 'classic') !== undefined) return
  for (const name of ['classid', 'action'] as const) {
    if (optionOf(item.options, name) === undefined) continue
    const said = name === 'classid' ? 'a classid' : 'an action'
    report(mistake('S110', item.span, `${said} needs the classic mode`, { hint: 'add `classic`' }))
  }
}

/** `action mirror eth1`: the device must be one of this host. */
function actionHasDevice(item: Attachment, host: HostDraft, report: Report): void {
  const device = optionOf(item.options, 'action')?.values[1]
  if (device === undefined || host.devices.has(device.text)) return
  report(
    mistakeIn('S103', device, `\`${host.name}\` has no device \`${device.text}\``, {
      hint: didYouMean(device.text, host.devices.keys()),
    }),
  )
}
