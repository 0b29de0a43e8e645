import { expect, test } from 'vitest'
import { normalPath } from './normal-path.ts'

test.each([
  ['/public/a', '/public/a'],
  ['/public/../admin?x=/../y', '/admin?x=/../y'],
  ['/public/./a/', '/public/a/'],
  ['/..', '/'],
  ['//public///a', '/public/a'],
  ['/%61dmin/%7Eme/%2e%2e', '/admin/'],
  ['/a%3fb', '/a%3Fb'],
  ['/a#part', '/a'],
])('%s is %s', (target, path) => {
  expect(normalPath(target)).toEqual({ path, redirect: false })
})

test('escaped slashes send the client to the plain path', () => {
  expect(normalPath('/public%2Fadmin')).toEqual({ path: '/public/admin', redirect: true })
  expect(normalPath('/public%5cadmin')).toEqual({ path: '/public/admin', redirect: true })
})
