#!/usr/bin/env node
// The launcher of the built command. `--version` is answered here; everything else needs the engine, which is compiled
// from V8's code cache where the cache fits this Node (V8 checks version and flags itself and refuses a wrong one).
'use strict'
const first = process.argv[2]
if (first === '--version' || first === '-V' || first === 'version') {
  process.stdout.write('scn __VERSION__\n')
} else {
  // A run is short: V8 would spend as much time on optimising functions as running them takes (docs/decisions/0005).
  // Said before the engine is loaded, because V8 counts from a function's first call, and the code cache asks for the
  // flags it was made with.
  // A V8 that does not know a flag says so on stderr, so only releases that are known to have it are asked.
  if (Number(process.versions.node.split('.', 1)[0]) <= 24) {
    require('node:v8').setFlagsFromString('--interrupt-budget=1000000')
  }
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
