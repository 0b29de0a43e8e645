// The text of ipvsadm-save, and every kind of mistake at its word.
import { expect, test } from 'vitest'
import { parseIpvs } from './parse.ts'

test('services with their servers', () => {
  const parsed = parseIpvs(`# a remark
    -A -t 10.96.0.10:80 -s rr -p -M 255.255.255.0
    -a -t 10.96.0.10:80 -r 10.0.1.10:8080 -m -w 0 -x 0 -y 0
    -a -t 10.96.0.10:80 -r 10.0.1.11:8080
    -A -f 7
`)
  expect(parsed).toMatchObject({
    ok: true,
    services: [
      {
        virtual: { kind: 'address', protocol: 6, port: 80 },
        scheduler: 'rr',
        persistent: 300,
        netmask: 0xffff_ff00,
        // only NAT changes the port
        servers: [
          { port: 8080, forward: 'masq', weight: 0 },
          { port: 80, forward: 'route', weight: 1 },
        ],
      },
      { virtual: { kind: 'fwmark', mark: 7 }, scheduler: 'wlc', servers: [] },
    ],
  })
})

test.each([
  ['-A -t 10.96.0.10:80 -s best', 24, 'no scheduler is called `best`'],
  ['-A -t 10.96.0.10 -s rr', 1, 'a service of all ports must be persistent'],
  ['-A -t 10.96.0:80', 7, '`10.96.0:80` is not an address with a port'],
  ['-A -t [fd00::1]:80', 7, '`[fd00::1]:80` is not an address with a port'],
  ['-A -u 10.96.0.10:70000', 7, '`10.96.0.10:70000` is not an address with a port'],
  ['-A -s rr', 1, '`-A` needs `-t`, `-u` or `-f`'],
  ['-A -t', 4, '`-t` needs an address with a port'],
  ['-A -f x', 7, '`x` is not a mark'],
  ['-A -f 1 -p 0', 12, '`0` is not a number of seconds'],
  ['-A -f 1 -M x', 12, '`x` is not a mask'],
  ['-A -f 1 -o', 9, '`-o` is not an option of a service that is known here'],
  ['-A -f 1\n-A -f 1', 1, 'this service is there already'],
  ['-a -f 1 -r 10.0.0.1:80 -m', 1, 'there is no such service'],
  ['-A -f 1\n-a -f 1 -m', 1, '`-a` needs a service and `-r`'],
  ['-A -f 1\n-a -f 1 -r 10.0.0.1:80 -i', 24, '`-i` is not an option of a server that is known here'],
  ['-A -f 1\n-a -f 1 -r 10.0.0.1:80 -x 5', 24, 'thresholds are not available yet'],
  ['-A -f 1\n-a -f 1 -r 10.0.0.1\n-a -f 1 -r 10.0.0.1', 1, 'this server is there already'],
  ['-C', 1, '`-C` is not known here'],
])('%j', (text, column, message) => {
  const parsed = parseIpvs(text)
  expect(parsed).toMatchObject({ ok: false, problems: [{ column, message }] })
  expect(!parsed.ok && parsed.problems[0]?.line).toBe(text.split('\n').length)
})
