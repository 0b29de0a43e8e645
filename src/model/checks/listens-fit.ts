// Sockets that wait can be opened: their address is one of the host, and their options are of their kind (bind(2)).
import type { Report } from '../../base/diagnostic.ts'
import { isIpv4, isMulticast, isUnspecified, sameIp } from '../../net/address.ts'
import type { Listen } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { NamespaceModel } from '../model.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { optionOf, optionValue } from '../words/options.ts'

/** Every `listen` of every host. */
export function listensFit({ entities, world }: WorldDraft, report: Report): void {
  for (const host of world.namespaces) {
    for (const item of entities.hosts.get(host.name)?.items ?? [])
      if (item.kind === 'listen') optionsFit(item, host, report)
  }
}

function optionsFit(item: Listen, host: NamespaceModel, report: Report): void {
  const { options, protocol } = item
  const on = optionValue(options, 'on')
  const address = host.listens.find((each) => each.span === item.span)?.address
  const backlog = optionOf(options, 'backlog')
  if (backlog !== undefined && protocol !== 'tcp')
    report(mistake('S125', backlog.span, `a ${protocol} socket has no backlog`, { hint: 'it is for tcp' }))
  const v6only = optionOf(options, 'v6only')
  if (v6only !== undefined && address !== undefined && isIpv4(address))
    report(mistake('S125', v6only.span, 'an IPv4 socket has no `v6only`', { hint: 'it is for IPv6 sockets' }))
  if (on === undefined || address === undefined || isUnspecified(address) || isMulticast(address)) return
  const isLoopback = isIpv4(address)
    ? address >>> 24 === 127
    : address.every((word, i) => word === (i === 3 ? 1 : 0))
  const isOwn = host.devices.some(
    (device) => device.up && device.addresses.some((prefix) => sameIp(prefix.address, address)),
  )
  const isFree = host.sysctls.some(({ key, value }) => key.endsWith('ip_nonlocal_bind') && value !== 0)
  // inet_can_nonlocal_bind()
  const isTransparent = optionOf(options, 'transparent') !== undefined
  if (isLoopback || isOwn || isFree || isTransparent) return
  const hint = 'bind(2) would answer EADDRNOTAVAIL; it needs an address of a device that is up'
  report(mistakeIn('S103', on, `\`${host.name}\` has no address \`${on.text}\``, { hint }))
}
