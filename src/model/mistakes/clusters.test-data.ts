// Mistakes in clusters, and what cannot be carried out yet. The marks `<|` `|>` stand around the words that are blamed.
import { file, type Row, send } from './row.test-helper.ts'

const cilium = (items: string, rest = ''): string =>
  file({ topology: `cluster cilium 1.19 { ${items} }`, rest })
/** Clusters of cilium */
export const clusters: readonly Row[] = [
  ['S146', undefined, cilium('', 'manifest """\nkind: <|WRONG|>\n"""')],
  ...(['S147', 'S148', 'S149', 'S150', 'S151'] as const).map(
    (code): Row => [code, undefined, cilium(`set <|wrong.${code}|> = true`)],
  ),
  [
    'S105',
    'the other pods of `host` are in 10.0.1.0/24',
    file({ topology: 'cluster cilium 1.19; pod a on host 10.0.1.10; pod b on host <|10.0.2.10|>' }),
  ],
  ['S143', undefined, file({ topology: 'cluster cilium 1.19; pod <|a|> on host' })],
]

/** Constructs to come */
export const later: readonly Row[] = [
  [
    'S190',
    'it is checked, but the file cannot be run',
    file({ topology: '<|cluster kube-proxy ipvs|> { cni flannel }' }),
  ],
  ['S190', undefined, file({ topology: 'node n { <|dev v0|> wireguard }' })],
  [
    'S190',
    undefined,
    file({
      rest: 'prog p xdp from <|"x.o" section "xdp"|>',
      topology: 'node n { dev eth0 on lan 10.1.0.9 { xdp p } }',
    }),
  ],
  ['S190', undefined, file({ topology: 'node n { <|ebtables|> """\n*filter\n""" }' })],
  ['S190', undefined, file({ steps: `${send}\n  <|restart node host|>` })],
  ['S190', undefined, file({ steps: 'f1: <|sctp|> friend:1 > host:2 { open }' })],
  ['S190', undefined, file({ steps: `${send}\n  expect p1 <|to-proxy|>` })],
  ['S190', undefined, file({ topology: 'cluster none', steps: `${send}\n  expect p1 <|policy allow|>` })],
  [
    'S190',
    undefined,
    file({ topology: 'cluster cilium 1.19', steps: `${send}\n  expect p1 <|dsr 10.0.0.1:80|>` }),
  ],
  ['S190', undefined, file({ steps: `${send}\n  expect p1 <|encap gre|>` })],
]
