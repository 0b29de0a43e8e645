// The catalogue of the checks: what `scn explain S1xx` says. Codes are stable; a retired one is never given again.
import { nameCodes } from './catalogue/names.ts'
import { thingCodes } from './catalogue/things.ts'
import { valueCodes } from './catalogue/values.ts'

/** Every code of this folder. */
export const modelCodes = { ...nameCodes, ...valueCodes, ...thingCodes } as const

/** A code that a check may report. */
export type Code = keyof typeof modelCodes
