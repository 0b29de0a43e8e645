#!/usr/bin/env node
// Where the process starts. Everything else is loaded when it is needed: `scn --version` costs little more than Node.
import { version } from './version.ts'

const [, , first] = process.argv

if (first === '--version' || first === '-V' || first === 'version') {
  process.stdout.write(`scn ${version}\n`)
} else {
  void import('./program.ts').then(({ main }) => main(process.argv))
}
