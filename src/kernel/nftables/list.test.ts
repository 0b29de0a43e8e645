// What the real nft 1.0.6 on Linux 6.18 listed after it had loaded fixtures/given.txt: fixtures/listed.txt.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { second } from '../clock.ts'
import { createMachine } from '../machine.ts'
import { addNamespace, type Namespace } from '../namespace.ts'
import { attachNft, currentNft, nftText } from './nftables.ts'
import { parseNft } from './parse.ts'

function fixture(name: string): string {
  return readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8')
}

function attached(text: string): Namespace {
  const parsed = parseNft(text)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'n' })
  attachNft(ns, parsed.ruleset)
  return ns
}

const listed = (text: string): string => nftText(attached(text))

test('every rule is listed as the real tool lists it', () => {
  expect(listed(fixture('given.txt')).split('\n')).toEqual(fixture('listed.txt').split('\n'))
})

test('parts and rules have the handles that the kernel gives them', () => {
  expect(nftText(attached(fixture('given.txt')), true).split('\n')).toEqual(
    fixture('handles.txt').split('\n'),
  )
})

test('rules come, go and change beside others by their handles', () => {
  const ns = attached('table ip y {\n}\nadd chain ip y c\nadd rule ip y c drop\nadd rule ip y c accept')
  const changes = [
    'add rule ip y c ip saddr { 1.1.1.1, 2.2.2.2 } counter',
    'add rule ip y c handle 2 continue',
    'insert rule ip y c position 3 return',
    'replace rule ip y c handle 2 ip saddr vmap { 1.1.1.1 : accept }',
    'delete rule ip y c handle 3',
    'add rule ip y c udp dport { 1, 2 } drop',
  ]
  for (const change of changes) {
    const parsed = parseNft(change, currentNft(ns))
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    attachNft(ns, parsed.ruleset)
  }
  // as nft 1.0.6 on Linux 6.18 lists it
  expect(nftText(ns, true)).toBe(`table ip y { # handle 1
	chain c { # handle 1
		ip saddr vmap { 1.1.1.1 : accept } # handle 2
		continue # handle 6
		return # handle 7
		ip saddr { 1.1.1.1, 2.2.2.2 } counter packets 0 bytes 0 # handle 5
		udp dport { 1, 2 } drop # handle 10
	}
}
`)
})

test('what is listed is read as the same rules', () => {
  const once = fixture('listed.txt')
  expect(listed(once)).toBe(once)
})

test('commands make the same as blocks', () => {
  const commands = `
    add table ip t { comment "x" ; }
    add set ip t s { type inet_service ; flags interval ; }
    add chain ip t c { type filter hook input priority -1 ; policy drop ; }
    add chain ip t d
    insert rule ip t c jump d
    add rule ip t c tcp dport @s accept comment "ports"
    add element ip t s { 80, 1000-2000 }`
  const block = `table ip t {
	comment "x"
	set s {
		type inet_service
		flags interval
		elements = { 80, 1000-2000 }
	}

	chain c {
		type filter hook input priority filter - 1; policy drop;
		jump d
		tcp dport @s accept comment "ports"
	}

	chain d {
	}
}
`
  expect(listed(commands)).toBe(block)
  expect(listed(`flush ruleset\n${block}`)).toBe(block)
})

test('elements show what is left of their time, and go', () => {
  const text = `table ip t {
    set s { type ipv4_addr; timeout 1h; elements = { 10.0.0.1, 10.0.0.2 timeout 10s comment "soon" }
    }
  }`
  const ns = attached(text)
  const { clock } = ns.machine
  clock.advance(3 * second)
  expect(nftText(ns)).toContain(
    'elements = { 10.0.0.1 expires 59m57s, 10.0.0.2 timeout 10s expires 7s comment "soon" }',
  )
  clock.advance(10 * second)
  expect(nftText(ns)).toContain('elements = { 10.0.0.1 expires 59m50s }')
})

test('a change keeps the counters of what stays', () => {
  const ns = attached(
    'table ip t {\n counter k { packets 3 bytes 30; }\n chain c {\n counter packets 7 bytes 70 accept\n }\n}',
  )
  const changed = parseNft('add rule ip t c counter drop\nadd chain ip t d', currentNft(ns))
  if (!changed.ok) throw new Error(JSON.stringify(changed.problems))
  attachNft(ns, changed.ruleset)
  const text = nftText(ns)
  expect(text).toContain('packets 3 bytes 30')
  expect(text).toContain('counter packets 7 bytes 70 accept\n\t\tcounter packets 0 bytes 0 drop\n')
  expect(text).toContain('chain d {')
})
