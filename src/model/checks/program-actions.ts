// A program calls helpers of its own type: the verifier refuses the others by name.
import type { Report } from '../../base/diagnostic.ts'
import type { Action } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import { hookFamily } from '../resolve/program.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { redirectMapFlags } from '../words/map-flags.ts'

/** What an action is called in the file, which helper it is, and where that helper exists. */
interface Helper {
  readonly word: string
  readonly helper: string
  readonly only: 'xdp' | 'tc'
}

/** Actions whose helper exists for one program type only (bpf-helpers(7), program type tables of each helper). */
export function programActions({ programs }: WorldDraft, report: Report): void {
  for (const { name, syntax, uses } of programs) {
    const family = hookFamily(syntax.type)
    if (family === 'other') continue
    for (const action of uses.actions) {
      redirectWords(action, report)
      const found = helperOf(action)
      if (family === 'cgroup' && changesPackets(action)) {
        report(
          mistake('S134', action.span, `a ${syntax.type} program cannot use this action`, {
            hint: 'it may set the mark and the like, use maps, call programs and emit records',
            notes: [{ message: `\`${name}\` is declared here`, span: syntax.name.span }],
          }),
        )
        continue
      }
      if (found === undefined || found.only === family) continue
      report(
        mistake('S134', action.span, `an ${syntax.type} program cannot use \`${found.word}\``, {
          hint: `${found.helper} exists for ${found.only} programs`,
          notes: [{ message: `\`${name}\` is declared here`, span: syntax.name.span }],
        }),
      )
    }
  }
}

/** Actions that move or rewrite a packet: a program of a cgroup only looks at it. */
function changesPackets({ kind }: Action): boolean {
  return ['swap', 'redirect', 'redirect-map', 'resize', 'vlan', 'tunnel'].includes(kind)
}

/** Words that a redirect's helper has no argument for. */
function redirectWords(action: Action, report: Report): void {
  if (action.kind === 'redirect') {
    const { helper, direction, via, span } = action
    const takesDirection = helper === 'redirect' || helper === 'clone-redirect'
    if (direction !== null && !takesDirection)
      report(mistake('S134', span, `\`${helper}\` has no direction`, { hint: `leave \`${direction}\` out` }))
    if (via !== null && helper !== 'redirect-neigh')
      report(mistake('S134', via.span, `\`${helper}\` has no next hop`, { hint: 'use `redirect-neigh`' }))
  }
  if (action.kind !== 'redirect-map') return
  const flag = action.options.find(({ name }) => name === 'flags')?.values[0]
  if (flag === undefined || Object.hasOwn(redirectMapFlags, flag.text)) return
  const hint = `one of ${Object.keys(redirectMapFlags).join(', ')}`
  report(mistake('S137', flag.span, `there is no flag \`${flag.text}\``, { hint }))
}

function helperOf(action: Action): Helper | undefined {
  switch (action.kind) {
    case 'redirect':
      if (action.helper === 'redirect') return undefined
      return { word: action.helper, helper: `bpf_${action.helper.replaceAll('-', '_')}`, only: 'tc' }
    case 'redirect-map':
      return { word: 'redirect-map', helper: 'bpf_redirect_map', only: 'xdp' }
    case 'resize':
      if (action.part === 'adjust-tail') return undefined
      if (action.part === 'adjust-room')
        return { word: action.part, helper: 'bpf_skb_adjust_room', only: 'tc' }
      return { word: action.part, helper: `bpf_xdp_${action.part.replace('-', '_')}`, only: 'xdp' }
    case 'vlan':
      if (action.vlan === null) return { word: 'pop-vlan', helper: 'bpf_skb_vlan_pop', only: 'tc' }
      return { word: 'push-vlan', helper: 'bpf_skb_vlan_push', only: 'tc' }
    case 'tunnel':
      return { word: 'tunnel', helper: 'bpf_skb_set_tunnel_key', only: 'tc' }
    default:
      return undefined
  }
}
