#!/usr/bin/env node
// The launcher of the built command. `--version` is answered here; everything else needs the engine, which is compiled
// from V8's code cache where the cache fits this Node (V8 checks version and flags itself and refuses a wrong one).
'use strict'
const first = process.argv[2]
if (first === '--version' || first === '-V' || first === 'version') {
  process.stdout.write('scn __VERSION__\n')
} else {
  const { readFileSync, writeFileSync, renameSync } = require('node:fs')
  const { join } = require('node:path')
  const { Script } = require('node:vm')
  const file = join(__dirname, 'engine.cjs')
  const cacheFile = join(__dirname, 'engine.cache')
  const code = readFileSync(file, 'latin1')
  let cachedData
  if (process.env.SCN_MAKE_CACHE === undefined) {
    try {
      cachedData = readFileSync(cacheFile)
    } catch {
      cachedData = undefined // never built with a cache: slower, not wrong
    }
  }
  const wrapped = `(function(exports,require,module,__filename,__dirname){${code}\n})`
  const script = new Script(wrapped, { filename: file, cachedData })
  const module_ = { exports: {} }
  script.runInThisContext()(module_.exports, require, module_, file, __dirname)
  module_.exports.main(process.argv).then(() => {
    if (process.env.SCN_MAKE_CACHE === undefined) return
    const temporary = `${cacheFile}.${process.pid}`
    writeFileSync(temporary, script.createCachedData())
    renameSync(temporary, cacheFile)
  })
}
