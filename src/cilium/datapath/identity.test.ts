import { expect, test } from 'vitest'
import { definesOf } from './defines.ts'
import { identity, isClusterIdentity, isReserved } from './identity.ts'

const dual = definesOf(['ENABLE_IPV4', 'ENABLE_IPV6'])
const single = definesOf(['ENABLE_IPV6'])

test('the worlds of one family are reserved only where both families are compiled in', () => {
  for (const id of [identity.WORLD_IPV4_ID, identity.WORLD_IPV6_ID]) {
    expect([isReserved(dual, id), isClusterIdentity(dual, id)]).toEqual([true, false])
    expect([isReserved(single, id), isClusterIdentity(single, id)]).toEqual([false, true])
  }
  for (const config of [dual, single]) {
    const ids = [identity.WORLD_ID, identity.REMOTE_NODE_ID, identity.HEALTH_ID, 0x0200_0001, 0x0100_0005]
    expect(ids.map((id) => isReserved(config, id))).toEqual([true, true, false, true, false])
    expect(ids.map((id) => isClusterIdentity(config, id))).toEqual([false, true, true, true, false])
  }
})
