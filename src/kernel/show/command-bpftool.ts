// `bpftool OBJECT ...`: the words behind it.
import { dumpMaps, showMaps, showNetPrograms, showPrograms } from './bpftool.ts'
import {
  deviceNamed,
  isDevice,
  isStray,
  type ShowContext,
  type Shown,
  shown,
  unknown,
  Words,
} from './command-words.ts'

/** `bpftool net|prog|map`. */
export function bpftoolCommand(words: readonly string[], { ns, objects }: ShowContext): Shown {
  const rest = new Words(words, 1)
  if (rest.takes('net')) {
    rest.takes('show', 'list')
    const options = rest.pairs(['dev'])
    if (isStray(options)) return unknown(options.word)
    const name = options.get('dev')
    if (name === undefined) return shown(showNetPrograms([...ns.devices.values()], objects))
    const dev = deviceNamed(ns, name)
    return isDevice(dev) ? shown(showNetPrograms([dev], objects)) : dev
  }
  if (rest.takes('prog')) {
    rest.takes('show', 'list')
    const stray = rest.next()
    return stray === undefined ? shown(showPrograms(objects)) : unknown(stray)
  }
  if (!rest.takes('map')) return unknown(rest.next() ?? 'bpftool')
  if (!rest.takes('dump')) {
    rest.takes('show', 'list')
    const stray = rest.next()
    return stray === undefined ? shown(showMaps(objects)) : unknown(stray)
  }
  const key = rest.next()
  const value = rest.next()
  if (value === undefined || (key !== 'name' && key !== 'id')) return unknown(key ?? 'dump')
  const found = objects.maps.filter(({ id, map }) =>
    key === 'id' ? String(id) === value : map.spec.name === value,
  )
  if (found.length === 0)
    return { kind: 'missing', message: `Error: bpf obj get by ${key} (${value}): No such file or directory` }
  return shown(dumpMaps(found))
}
