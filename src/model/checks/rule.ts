// What a check is: a function that looks at one kind of mistake and reports every place where it is made. check.ts lists
// them; a new rule is a new file here, a line there and a page in the catalogue.
import type { Report } from '../../base/diagnostic.ts'
import type { WorldDraft } from '../resolve/world.ts'
import type { Linked } from '../world/link.ts'

/** A rule about the text: names, tables, guards. */
export type TextCheck = (linked: Linked, report: Report) => void

/** A rule about one world: hosts, devices, programs. */
export type WorldCheck = (world: WorldDraft, report: Report) => void
