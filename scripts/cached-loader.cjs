#!/usr/bin/env node
// The launcher of the built command, and the loader of its bundles. `--version` is answered here; everything else needs
// the engine, and what has a cluster or is shown the part for later (scripts/parts.ts). Both are compiled from V8's code
// cache where the cache fits this Node (V8 checks version and flags itself and refuses a wrong one).
'use strict'
const first = process.argv[2]
if (require.main !== module) {
  loadEngine()['src/cli/worker.ts']() // a thread of `scn run -j`
} else if (first === '--version' || first === '-V' || first === 'version') {
  process.stdout.write('scn __VERSION__\n')
} else {
  setFlags()
  const scripts = new Map()
  const done = loadEngine(scripts)['src/cli/program.ts']().main(process.argv)
  if (process.env.SCN_MAKE_CACHE !== undefined) done.then(() => writeCaches(scripts))
}

/**
 * A run is short: V8 would spend as much time on optimising functions as running them takes (docs/decisions/0005). Said
 * before the engine is loaded, because V8 counts from a function's first call, and the code cache asks for the flags it
 * was made with. A V8 that does not know a flag says so on stderr, so only releases that are known to have it are asked.
 */
function setFlags() {
  if (Number(process.versions.node.split('.', 1)[0]) > 24) return
  const { setFlagsFromString } = require('node:v8')
  setFlagsFromString('--interrupt-budget=1000000')
  // A cache remembers which functions were hot enough for Sparkplug while it was made, and a run compiles those at once.
  if (process.env.SCN_MAKE_CACHE !== undefined) setFlagsFromString('--no-sparkplug')
}

/** Runs the engine's bundle; answers its files by path, each a function that evaluates the file. */
function loadEngine(scripts) {
  let later
  // A file of the part is asked for when one of its names is used. It gets copies of the engine's files: a namespace has
  // getters, and the datapath would call one with every call.
  const partOf = (file) => {
    later ??= load('later', (own) => ({ ...engine[own]() }), scripts)
    return later[file]()
  }
  const engine = load('engine', (file) => new Proxy({}, { get: (_, name) => partOf(file)[name] }), scripts)
  return engine
}

/** Runs a bundle of this folder. `elsewhere` answers `scn:FILE`, a file that the other bundle has. */
function load(name, elsewhere, scripts) {
  const { readFileSync } = require('node:fs')
  const { Script } = require('node:vm')
  const filename = `${__dirname}/${name}.cjs`
  let cachedData
  if (process.env.SCN_MAKE_CACHE === undefined) {
    try {
      cachedData = readFileSync(`${__dirname}/${name}.cache`)
    } catch {
      cachedData = undefined // never built with a cache: slower, not wrong
    }
  }
  const code = `(function(exports,require,module,__filename,__dirname){${readFileSync(filename, 'latin1')}\n})`
  const script = new Script(code, { filename, cachedData })
  scripts?.set(name, script)
  const module_ = { exports: {} }
  const requireFrom = (id) => (id.startsWith('scn:') ? elsewhere(id.slice(4)) : require(id))
  script.runInThisContext()(module_.exports, requireFrom, module_, filename, __dirname)
  return module_.exports.files
}

/** Writes what V8 compiled of each bundle beside it. */
function writeCaches(scripts) {
  const { writeFileSync, renameSync } = require('node:fs')
  require('node:v8').setFlagsFromString('--sparkplug') // the flags of a run
  for (const [name, script] of scripts) {
    const file = `${__dirname}/${name}.cache`
    writeFileSync(`${file}.${process.pid}`, script.createCachedData())
    renameSync(`${file}.${process.pid}`, file)
  }
}
